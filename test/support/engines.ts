/** Engines without the proxy around them: their host is the test's, and can be made to fail. */
import type { TestContext } from 'node:test';
import { checkConfig } from '../../src/config/check-config.ts';
import { withoutFunctions } from '../../src/config/user-functions.ts';
import { admit, decide, decideRefusal } from '../../src/decide.ts';
import type { Engine, EngineHost, EngineSettings } from '../../src/engine/engine.ts';
import { selectEngine } from '../../src/engine/select-engine.ts';
import type { ConnectionEnded, ConnectionOpened, Notice, SniwayConfig } from '../../src/index.ts';
import { PendingCounts } from '../../src/limiting/pending-counts.ts';
import { createSharedMemory, openLive } from '../../src/live.ts';
import { Numbering } from '../../src/numbering.ts';
import { openHello } from '../../src/open-hello.ts';
import { createSnapshot } from '../../src/snapshot.ts';

export interface TestEngine<E extends Engine = Engine> {
  readonly engine: E;
  /** Port of the first listener. */
  readonly port: number;
  readonly opened: readonly ConnectionOpened[];
  readonly ended: readonly ConnectionEnded[];
  readonly notices: readonly Notice[];
}

/** Parts of an engine's host, and of its settings, instead of those the configuration makes. */
export type EngineParts = Partial<EngineHost> & { readonly settings?: Partial<EngineSettings> };

/** Starts an engine on 127.0.0.1, ended at the end of the test. */
export async function startEngine(
  t: TestContext,
  config: Partial<SniwayConfig> & { engine: 'portable' | 'linux' },
  { settings, ...host }: EngineParts = {},
): Promise<TestEngine> {
  const checked = checkConfig({ listen: '127.0.0.1:0', ...config });
  const snapshot = createSnapshot(checked);
  const shared = createSharedMemory(new Numbering(checked).room, checked.workers);
  const live = openLive(checked, shared, 0);
  const opened: ConnectionOpened[] = [];
  const ended: ConnectionEnded[] = [];
  const notices: Notice[] = [];
  const engine = selectEngine(checked.engine).create(
    {
      decide(hello, client) {
        const decision = decide(hello, client, { snapshot, live });
        return decision.kind === 'resolve' || decision.kind === 'user'
          ? this.settle(decision, client)
          : decision;
      },
      settle: () => new Promise(() => undefined),
      openHello: (hello, recordVersion, client) =>
        openHello(hello, recordVersion, client, { snapshot, live }),
      echFault: () => undefined,
      listener: index => snapshot.listeners[index]!,
      admit: client => admit(client, snapshot),
      pending: new PendingCounts(live.limits, checked.pending.perClient),
      takeBackend: backend => live.ledger.take(backend),
      leaveBackend: (backend, outcome) => live.ledger.leave(backend, outcome),
      backendAnswered: backend => live.ledger.answered(backend),
      workerDied: worker => {
        live.ledger.giveBack(worker);
        live.limits.forgetOwner(worker);
      },
      dialFailed: () => undefined,
      refuse: refusal => decideRefusal(refusal, checked.policies),
      opened: connection => void opened.push(connection),
      ended: connection => void ended.push(connection),
      notice: notice => void notices.push(notice),
      interest: { opened: true, ended: true, fingerprints: checked.fingerprints },
      ...host,
    },
    { ...checked, plain: withoutFunctions(checked), shared, instance: 'test', ...settings },
  );
  t.after(async () => {
    await engine.stopListening();
    await engine.terminate('killed');
  });
  const [first] = await engine.listen(checked.listen);
  return { engine, port: first?.port ?? 0, opened, ended, notices };
}
