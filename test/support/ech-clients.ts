/** Clients of Encrypted ClientHello that others have made, asked for one page in one way. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { BORINGSSL, boringClient } from './boringssl.ts';
import { CHROMIUM_PROGRAMS, startChromium } from './chromium.ts';
import type { Chromium } from './chromium.ts';
import { startDohServer } from './doh-server.ts';
import type { FallbackKind } from './ech-bench.ts';
import { makeFolder } from './folders.ts';
import { NSS_PROGRAMS, createNssClient } from './nss.ts';
import type { TrustedAuthority } from './tls-backends.ts';

/** What a client asks for, and with what in its hello. */
export interface Ask {
  readonly port: number;
  readonly name: string;
  /** An ECHConfigList; `pretence` for GREASE; null for neither. */
  readonly offer: Uint8Array | 'pretence' | null;
  /** Whether a server without the key has a certificate for the public name. */
  readonly isFallbackTrusted?: boolean;
}

/** What a client says has come of it. */
export interface Reported {
  /** The page; empty where there is none. */
  readonly page: string;
  readonly error: string | null;
  /** Whether its hello was encrypted; null if it does not say. */
  readonly isEncrypted: boolean | null;
  /** The list that a server with another key has sent; null if there is none, or the client keeps it to itself. */
  readonly retryList: Uint8Array | null;
  /** All that it has said. */
  readonly output: string;
}

export interface RealClient {
  /** @param flags More of its own. */
  ask(t: TestContext, ask: Ask, ...flags: string[]): Promise<Reported>;
}

/** How a client with an old key ends up: with an error, or with the page after all. */
export type Outcome = { readonly error: string } | { readonly page: 'encrypted' | 'in clear' };

export interface ClientKind {
  readonly name: string;
  readonly programs: readonly string[];
  create(t: TestContext, authority: TrustedAuthority): Promise<RealClient>;
  /** With an old key, by what the server of the public name has: see FALLBACKS. */
  readonly stale: Readonly<Record<FallbackKind['kind'], Outcome>>;
}

const PAGE = /Client sent SNI: .*/;

export const BORING: ClientKind = {
  name: 'BoringSSL',
  programs: [BORINGSSL],
  stale: {
    untrusted: { error: 'CERTIFICATE_VERIFY_FAILED' },
    unaware: { error: 'ECH_REJECTED' },
    // It has the list of the server, and no way to tell it.
    aware: { error: 'ECH_REJECTED' },
    own: { error: 'ECH_REJECTED' },
  },
  create(context, { caFile }) {
    const listFile = join(makeFolder(context, {}), 'list');
    return Promise.resolve({
      async ask(t, { port, name, offer }, ...more) {
        const flags = ['-root-certs', caFile, ...more];
        if (offer === 'pretence') flags.push('-ech-grease');
        else if (offer !== null) {
          writeFileSync(listFile, offer);
          flags.push('-ech-config-list', listFile);
        }
        const { stdout, stderr } = await boringClient(t, { port, name }, ...flags);
        const output = `${stdout}\n${stderr}`;
        const said = /Encrypted ClientHello: (yes|no)/.exec(stderr)?.[1];
        return {
          page: PAGE.exec(stdout)?.[0] ?? '',
          error: /Error while connecting: (\w+)/.exec(stderr)?.[1] ?? null,
          isEncrypted: said === undefined ? null : said === 'yes',
          retryList: null,
          output,
        };
      },
    });
  },
};

export const NSS: ClientKind = {
  name: 'NSS',
  programs: NSS_PROGRAMS,
  stale: {
    untrusted: { error: 'SSL_ERROR_BAD_CERT_DOMAIN' },
    unaware: { error: 'SSL_ERROR_ECH_RETRY_WITHOUT_ECH' },
    aware: { error: 'SSL_ERROR_ECH_RETRY_WITH_ECH' },
    own: { error: 'SSL_ERROR_ECH_RETRY_WITH_ECH' },
  },
  async create(context, { caFile }) {
    const client = await createNssClient(context, caFile);
    return {
      async ask(t, { port, name, offer, isFallbackTrusted = false }, ...more) {
        const flags = offer === 'pretence' ? ['-i', '100', ...more] : [...more];
        if (offer instanceof Uint8Array) flags.push('-N', Buffer.from(offer).toString('base64'));
        // It compares every certificate with the hidden name, so that none for a public name would do.
        if (isFallbackTrusted) flags.push('-o');
        const { stdout, stderr } = await client.ask(t, { port, name }, ...flags);
        const output = `${stdout}\n${stderr}`;
        const list = /retry_configs:\s+(\S+)/.exec(output)?.[1];
        return {
          page: PAGE.exec(output)?.[0] ?? '',
          error: /failed: (SSL_ERROR_\w+)/.exec(output)?.[1] ?? null,
          isEncrypted: null,
          retryList: list === undefined ? null : Buffer.from(list, 'base64'),
          output,
        };
      },
    };
  },
};

const CHROMIUM: ClientKind = {
  name: 'Chromium',
  programs: CHROMIUM_PROGRAMS,
  stale: {
    untrusted: { error: 'net::ERR_ECH_FALLBACK_CERTIFICATE_INVALID' },
    unaware: { page: 'in clear' },
    aware: { page: 'encrypted' },
    own: { page: 'encrypted' },
  },
  async create(t, authority) {
    const doh = await startDohServer(t, authority);
    const started = new Map<boolean, Promise<Chromium>>();
    const browser = (ech: boolean): Promise<Chromium> => {
      const chromium = started.get(ech) ?? startChromium(t, authority, { doh: doh.template, ech });
      started.set(ech, chromium);
      return chromium;
    };
    return {
      async ask(_t, { port, name, offer }) {
        if (offer instanceof Uint8Array) doh.publish(name, port, offer);
        const chromium = await browser(offer !== null);
        const { text, error, isEncrypted } = await chromium.visit(`https://${name}:${port}/`);
        return { page: PAGE.exec(text)?.[0] ?? '', error, isEncrypted, retryList: null, output: text };
      },
    };
  },
};

export const CLIENTS: readonly ClientKind[] = [BORING, NSS, CHROMIUM];
