/**
 * What every engine must do, whatever moves its bytes. Each engine's own test file runs all of it with its name; a
 * fault found in one engine gets its test here.
 */
import { describe } from 'node:test';
import { describeEch } from './conformance/ech.ts';
import { describeEchRefusals } from './conformance/ech-refusals.ts';
import { describeFaults, describeHostFaults } from './conformance/faults.ts';
import { describeFunctionReload } from './conformance/function-reload.ts';
import { describeFunctions } from './conformance/functions.ts';
import { describeHealth } from './conformance/health.ts';
import { describeHello } from './conformance/hello.ts';
import { describeHooks } from './conformance/hooks.ts';
import { describeLifecycle } from './conformance/lifecycle.ts';
import { describeLimits } from './conformance/limits.ts';
import { describePools } from './conformance/pools.ts';
import { describeNames } from './conformance/names.ts';
import { describeProxyIn } from './conformance/proxy-in.ts';
import { describeProxyOut } from './conformance/proxy-out.ts';
import { describeRecords } from './conformance/records.ts';
import { describeRefusals } from './conformance/refusals.ts';
import { describeReload } from './conformance/reload.ts';
import { describeRelay } from './conformance/relay.ts';
import { describeSpans } from './conformance/spans.ts';
import { describeVanishing } from './conformance/vanishing.ts';

export type EngineName = 'portable' | 'linux';

export function describeEngine(engine: EngineName): void {
  describe(`${engine} engine`, () => {
    describeHello(engine);
    describeRecords(engine);
    describeRefusals(engine);
    describeRelay(engine);
    describeVanishing(engine);
    describeLifecycle(engine);
    describeFaults(engine);
    // A worker of the linux engine decides by itself: test/engine/linux/faults.test.ts has its faults.
    if (engine === 'portable') describeHostFaults(engine);
  });
}

/** The part about where connections go and what they may take, in files of its own: all of it takes its time. */
export function describeBackends(engine: EngineName): void {
  describe(`${engine} engine`, () => {
    describeNames(engine);
    describePools(engine);
    describeHealth(engine);
    describeLimits(engine);
    describeSpans(engine);
  });
}

/** The part about PROXY headers, in files of its own: it takes its time. */
export function describeProxyHeaders(engine: EngineName): void {
  describe(`${engine} engine`, () => {
    describeProxyIn(engine);
    describeProxyOut(engine);
  });
}

/** The part about functions of users. */
export function describeFunctionsOf(engine: EngineName): void {
  describe(`${engine} engine`, () => {
    describeFunctions(engine);
    describeHooks(engine);
    describeFunctionReload(engine);
  });
}

/** The part about reloads, in files of its own: it takes its time. */
export function describeReloads(engine: EngineName): void {
  describe(`${engine} engine`, () => describeReload(engine));
}

/** The part about Encrypted ClientHello, in files of its own. */
export function describeEchOf(engine: EngineName): void {
  describe(`${engine} engine`, () => {
    describeEch(engine);
    describeEchRefusals(engine);
  });
}
