/** Firefox without a screen, with DNS over HTTPS and an authority of the test's: it takes nothing from anywhere else. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fillDatabase } from './nss.ts';
import { start } from './programs.ts';
import type { TrustedAuthority } from './tls-backends.ts';

/** What a test needs that starts one. */
export const FIREFOX_PROGRAMS = ['firefox-esr', 'certutil'] as const;

const VISIT_MS_MAX = 60_000;

const SETTINGS = {
  'network.dns.echconfig.enabled': true,
  // Names at other ports than 443 have records of their own (RFC 9460 section 9.1).
  'network.dns.port_prefixed_qname_https_rr': true,
  'network.dns.native_https_query': false,
  // It connects only once it knows whether there is a record.
  'network.dns.force_waiting_https_rr': true,
  // Names come from the server alone, which may say that they are here.
  'network.trr.mode': 3,
  'network.trr.bootstrapAddr': '127.0.0.1',
  'network.trr.allow-rfc1918': true,
  'network.trr.confirmationNS': 'skip',
  'network.trr.useGET': false,
  'network.proxy.type': 0,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'security.OCSP.enabled': 0,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'app.update.enabled': false,
  'extensions.update.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
};

/** Loads a page and all that is in it, with a new profile; `doh` is the server that it asks for names. */
export async function visitWithFirefox(
  t: TestContext,
  authority: TrustedAuthority,
  { doh, url }: { readonly doh: string; readonly url: string },
): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'sniway-test-'));
  const profile = join(home, 'profile');
  mkdirSync(profile);
  await fillDatabase(t, profile, authority.caFile);
  const settings = Object.entries({ ...SETTINGS, 'network.trr.uri': doh, 'network.trr.custom_uri': doh });
  const lines = settings.map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
  );
  writeFileSync(join(profile, 'user.js'), lines.join('\n'));
  const [program] = FIREFOX_PROGRAMS;
  // A picture is taken when everything has come; then it ends.
  const flags = [
    '--headless',
    '--no-remote',
    '--profile',
    profile,
    '--screenshot',
    join(home, 'page.png'),
    url,
  ];
  const env = { PATH: process.env['PATH'], HOME: home };
  const running = start(t, [program, ...flags], { env, detached: true });
  const end = (): void => endGroup(running.pid);
  const timer = setTimeout(end, VISIT_MS_MAX);
  t.after(() => {
    clearTimeout(timer);
    end();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });
  const { code, stderr } = await running.finished;
  if (code !== 0) throw new Error(`no visit of ${url}: ${code} ${stderr}`);
}

/** The browser is the first of a group of processes. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All have ended.
  }
}
