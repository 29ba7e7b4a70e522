/** `sniway doctor`: are the backends of this configuration there, and fit for the clients that go to them? */
import { quote } from '../../config/plain-text.ts';
import { DOCTOR_NAMES_MAX } from '../../limits.ts';
import { parseConfigName } from '../../wire/host-name.ts';
import type { ConfigFlags } from '../config-flags.ts';
import { judgeVisits } from './judge-visits.ts';
import { planVisits } from './plan-visits.ts';
import { isAllWell, renderDoctor, renderDoctorJson } from './render-doctor.ts';
import { visitBackends } from './visit-backends.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { loadCommandConfig } from '../load-config.ts';
import { complain, print } from '../output.ts';

export interface DoctorFlags {
  /** Names to ask for, each at the routes that take it. */
  readonly name?: readonly string[];
  /** Ask every backend for Encrypted ClientHello. */
  readonly ech?: boolean;
  readonly json?: boolean;
}

/** No listener is opened. */
const LISTEN_DEFAULT = '127.0.0.1:0';

/** Resolves with the exit code, once all is printed. @throws CommandError if the configuration or a name is unfit. */
export async function examine(
  { name = [], ech = false, json = false }: DoctorFlags,
  flags: ConfigFlags,
): Promise<number> {
  const names = readNames(name);
  const { config, warnings } = await loadCommandConfig(flags, { listenDefault: LISTEN_DEFAULT });
  if (warnings !== '') await complain(`${warnings}\n`);
  const { visits, ...others } = planVisits(config, { names, ech });
  const { visited, leftOut } = await visitBackends(visits, config);
  const nowMs = Date.now();
  const report = { ...others, leftOut, diagnoses: judgeVisits(visited, nowMs) };
  await print(json ? renderDoctorJson(report) : renderDoctor(report, nowMs));
  return isAllWell(report) ? EXIT.ok : EXIT.failure;
}

function readNames(texts: readonly string[]): string[] {
  if (texts.length > DOCTOR_NAMES_MAX) {
    throw new CommandError(
      `error: ${texts.length} names are too many: at most ${DOCTOR_NAMES_MAX}`,
      EXIT.usage,
    );
  }
  const names = texts.map(text => {
    const parsed = parseConfigName(text);
    if (parsed.ok) return parsed.name;
    throw new CommandError(`error: ${quote(text)} is not a host name: ${parsed.message}`, EXIT.usage);
  });
  return [...new Set(names)];
}
