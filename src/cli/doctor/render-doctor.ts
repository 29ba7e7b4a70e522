/** What `sniway doctor` prints. */
import { escapeControls } from '../../config/plain-text.ts';
import { DOCTOR_ADDRESSES_MAX } from '../../limits.ts';
import { daysLeft } from './judge-visits.ts';
import type { Diagnosis } from './judge-visits.ts';
import type { DoctorPlan } from './plan-visits.ts';

export interface DoctorReport extends Pick<DoctorPlan, 'skipped' | 'strangers'> {
  readonly diagnoses: readonly Diagnosis[];
  /** Backends and addresses that were too many to look at. */
  readonly leftOut: number;
}

const WORD_WIDTH = 10;

export function isAllWell({ diagnoses, strangers }: DoctorReport): boolean {
  return strangers.length === 0 && diagnoses.every(({ status }) => status !== 'failed');
}

/** A block for each route, in the order of the configuration, and a last line that says how it is altogether. */
export function renderDoctor(report: DoctorReport, nowMs: number): string {
  const { diagnoses, skipped, strangers, leftOut } = report;
  const routes = [...new Set(diagnoses.map(({ route }) => route))];
  const blocks = routes.map(route => {
    const mine = diagnoses.filter(diagnosis => diagnosis.route === route);
    const remedies = [...new Set(mine.flatMap(diagnosis => diagnosis.remedies))];
    return [
      line('route', route),
      ...mine.map(diagnosis => line(diagnosis.status, describe(diagnosis, nowMs))),
      ...remedies.map(remedy => line('remedy', remedy)),
    ].join('');
  });
  const others = [
    ...skipped.map(({ route, why }) => line('skipped', `route ${route}: ${why}`)),
    ...strangers.map(name => line('failed', `${name}: no route takes this name`)),
    ...(leftOut === 0
      ? []
      : [line('skipped', `${leftOut} addresses: at most ${DOCTOR_ADDRESSES_MAX} are looked at`)]),
  ].join('');
  return [...blocks, ...(others === '' ? [] : [others]), summarize(report)].join('\n');
}

/** For programs: the same as one object. */
export function renderDoctorJson(report: DoctorReport): string {
  const { diagnoses, skipped, strangers, leftOut } = report;
  const results = diagnoses.map(({ expiresAtMs, connectMs, ...others }) => ({
    ...others,
    connectMs: connectMs === null ? null : Math.round(connectMs),
    expiresAt: expiresAtMs === null ? null : new Date(expiresAtMs).toISOString(),
  }));
  const value = { ok: isAllWell(report), results, skipped, unknownNames: strangers, leftOut };
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Everything is escaped here, and nothing before. */
function line(word: string, text: string): string {
  return `${word.padEnd(WORD_WIDTH)}${escapeControls(text)}\n`;
}

function describe(diagnosis: Diagnosis, nowMs: number): string {
  const { backend, address, name, connectMs, tls, expiresAtMs, ech, problems } = diagnosis;
  const where = address === null || address === backend ? backend : `${backend} at ${address}`;
  const facts = [
    ...problems,
    ...(connectMs === null ? [] : [`connected in ${Math.max(1, Math.round(connectMs))} ms`]),
    ...(tls === null ? [] : [tls.replace('TLSv', 'TLS ')]),
    ...(expiresAtMs === null ? [] : [describeExpiry(daysLeft(expiresAtMs, nowMs))]),
    ...(ech === 'confirmed' ? ['supports Encrypted ClientHello'] : []),
  ];
  return `${where}${name === null ? '' : ` for ${name}`}: ${facts.join('; ')}`;
}

function describeExpiry(days: number): string {
  if (days < 0) return `certificate expired ${count(-days, 'day')} ago`;
  return `certificate valid for ${count(days, 'more day')}`;
}

function summarize(report: DoctorReport): string {
  const { diagnoses } = report;
  const having = (wanted: Diagnosis['status']): number =>
    diagnoses.filter(({ status }) => status === wanted).length;
  const [failed, warned] = [having('failed'), having('warning')];
  const of = count(diagnoses.length, 'address', 'es');
  if (isAllWell(report)) return `ok: ${of}${warned === 0 ? '' : `, ${count(warned, 'warning')}`}\n`;
  return failed === 0 ? `failed: names that no route takes\n` : `failed: ${failed} of ${of}\n`;
}

function count(number: number, noun: string, plural = 's'): string {
  return `${number} ${noun}${number === 1 ? '' : plural}`;
}
