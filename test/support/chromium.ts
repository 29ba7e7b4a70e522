/** Chromium without a screen, with DNS over HTTPS and an authority of the test's: it takes nothing from anywhere else. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import { DevTools } from './devtools.ts';
import type { Message } from './devtools.ts';
import { makeFolder } from './folders.ts';
import { fillDatabase } from './nss.ts';
import type { TrustedAuthority } from './tls-backends.ts';

/** What a test needs that starts one. */
export const CHROMIUM_PROGRAMS = ['chromium', 'certutil'] as const;

const VISIT_MS_MAX = 20_000;
/** Of Chromium's words for when to connect ahead. */
const NEVER = 2;

const FLAGS = [
  '--headless',
  '--remote-debugging-pipe',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-domain-reliability',
  '--disable-extensions',
  '--disable-sync',
  '--disable-breakpad',
  '--no-first-run',
  '--no-default-browser-check',
  '--no-proxy-server',
  '--password-store=basic',
];

export interface Visit {
  /** The text of the page; empty where there is none. */
  readonly text: string;
  /** Such as `net::ERR_ECH_NOT_NEGOTIATED`; null where there is none. */
  readonly error: string | null;
  /** Whether the browser says that its hello was encrypted; null without a page. */
  readonly isEncrypted: boolean | null;
}

export interface Chromium {
  /** Loads a page, within VISIT_MS_MAX. */
  visit(url: string): Promise<Visit>;
}

export interface ChromiumOptions {
  /** The server it asks for names, as a template of RFC 8484. */
  readonly doh: string;
  /** False: its hellos have nothing that looks like Encrypted ClientHello. */
  readonly ech?: boolean;
}

/** A browser with a new profile that trusts this authority; it ends with the test. */
export async function startChromium(
  t: TestContext,
  authority: TrustedAuthority,
  { doh, ech = true }: ChromiumOptions,
): Promise<Chromium> {
  const home = makeFolder(t, {});
  // Where NSS keeps the authorities of a user.
  const database = join(home, '.pki', 'nssdb');
  mkdirSync(database, { recursive: true });
  await fillDatabase(t, database, authority.caFile);
  const profile = join(home, 'profile');
  mkdirSync(join(profile, 'Default'), { recursive: true });
  const state = { dns_over_https: { mode: 'secure', templates: doh }, ssl: { ech_enabled: ech } };
  writeFileSync(join(profile, 'Local State'), JSON.stringify(state));
  // No connections ahead of their use: a server that takes one after the other would wait for theirs.
  const preferences = { net: { network_prediction_options: NEVER } };
  writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify(preferences));
  const flags = [
    ...FLAGS,
    `--user-data-dir=${profile}`,
    // It has no sandbox for root.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  ];
  const env = { PATH: process.env['PATH'], HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home };
  const [program] = CHROMIUM_PROGRAMS;
  const stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] as const;
  // The first of a group of processes, all of which end with it.
  const child = spawn(program, flags, { env, stdio: [...stdio], detached: true });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.on('error', error => (stderr += error.message));
  t.after(() => endGroup(child.pid));
  const devtools = new DevTools(child.stdio[3] as Writable, child.stdio[4] as Readable);
  return {
    async visit(url) {
      const timer = setTimeout(() => endGroup(child.pid), VISIT_MS_MAX);
      try {
        return await visit(devtools, url);
      } catch (error) {
        throw new Error(`no visit of ${url}: ${stderr}`, { cause: error });
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

async function visit(devtools: DevTools, url: string): Promise<Visit> {
  const { targetId } = await devtools.call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await devtools.call('Target.attachToTarget', { targetId, flatten: true });
  const session = String(sessionId);
  const page = new Page(devtools);
  try {
    await devtools.call('Page.enable', {}, session);
    await devtools.call('Page.setLifecycleEventsEnabled', { enabled: true }, session);
    await devtools.call('Network.enable', {}, session);
    const { errorText, loaderId } = await devtools.call('Page.navigate', { url }, session);
    if (typeof errorText === 'string') return { text: '', error: errorText, isEncrypted: null };
    await Promise.race([page.loaded(String(loaderId)), devtools.ended]);
    const expression = 'document.documentElement.innerText';
    const { result } = await devtools.call('Runtime.evaluate', { expression }, session);
    const { encryptedClientHello = null } = page.security;
    return {
      text: String((result as Message)['value']),
      error: null,
      isEncrypted: encryptedClientHello as boolean | null,
    };
  } finally {
    page.close();
    await devtools.call('Target.closeTarget', { targetId });
  }
}

/** What the browser tells of a page while it comes. */
class Page {
  /** Of its connection. */
  security: Message = {};
  readonly close: () => void;
  readonly #loaded = new Set<string>();
  #wake = (): void => undefined;

  constructor(devtools: DevTools) {
    this.close = devtools.listen((method, { type, response, name, loaderId }) => {
      if (method === 'Network.responseReceived' && type === 'Document') {
        this.security = ((response as Message)['securityDetails'] ?? {}) as Message;
      }
      if (method !== 'Page.lifecycleEvent' || name !== 'load') return;
      this.#loaded.add(String(loaderId));
      this.#wake();
    });
  }

  async loaded(loaderId: string): Promise<void> {
    while (!this.#loaded.has(loaderId)) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All have ended.
  }
}
