/** What every process has to tell, under the names that Prometheus clients have agreed upon. */
import { readFile, readdir, stat } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import type { Exposition, Sample } from './exposition.ts';

const DESCRIPTORS = '/proc/self/fd';

export async function writeProcessMetrics(to: Exposition): Promise<void> {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const { active } = performance.eventLoopUtilization();
  const [open, most] = await Promise.all([countDescriptors(), readDescriptorLimit()]);
  to.counter('process_cpu_seconds_total', 'Processor time of all threads.', just((user + system) / 1e6));
  to.gauge('process_resident_memory_bytes', 'Resident memory.', just(rss));
  to.gauge('process_start_time_seconds', 'Start of the process.', just(performance.timeOrigin / 1_000));
  to.gauge('process_open_fds', 'Open file descriptors.', just(open));
  to.gauge('process_max_fds', 'File descriptors that may be open.', just(most));
  to.gauge('sniway_main_thread_heap_bytes', 'JavaScript heap in use, main thread.', just(heapUsed));
  to.counter(
    'sniway_main_thread_busy_seconds_total',
    'Time in which the main thread was not waiting for events.',
    just(active / 1_000),
  );
}

function just(value: number | null): readonly Sample[] {
  return value === null ? [] : [[{}, value]];
}

/** Null where there is no /proc. */
async function countDescriptors(): Promise<number | null> {
  try {
    // Linux tells the number as the folder's size since 6.2; before, it has to be listed.
    const { size } = await stat(DESCRIPTORS);
    return size > 0 ? size : (await readdir(DESCRIPTORS)).length;
  } catch {
    return null;
  }
}

async function readDescriptorLimit(): Promise<number | null> {
  try {
    const limits = await readFile('/proc/self/limits', 'utf8');
    const soft = /^Max open files +([0-9]+)/m.exec(limits)?.[1];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}
