/** Processor time and memory of a process and its children, from /proc (proc(5)). */
import { readFileSync, readdirSync } from 'node:fs';

const PAGE_BYTES = 4096;
/** Clock ticks of /proc/PID/stat in a second, 100 on every Linux that Node runs on (sysconf(3), _SC_CLK_TCK). */
const TICKS_PER_SECOND = 100;

/** `pid` and all that descend from it. */
export function processTree(pid: number): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap(task =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processTree)];
}

/** Seconds of processor time, user and system, of all threads these processes ever had. */
export function cpuSeconds(pids: readonly number[]): number {
  return sum(pids, pid => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name, which may hold spaces and brackets; utime is field 14, stime 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  });
}

/** Seconds these processors have worked since the machine started, for whomever. */
export function busySeconds(cpus: readonly number[]): number {
  const lines = readFileSync('/proc/stat', 'utf8').split('\n');
  return sum(cpus, cpu => {
    const line = lines.find(text => text.startsWith(`cpu${cpu} `)) ?? '';
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').slice(1).map(Number);
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
  });
}

/** Bytes of memory these processes have resident; shared pages count for each. */
export function residentBytes(pids: readonly number[]): number {
  return sum(pids, pid => Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES);
}

function sum(numbers: readonly number[], measure: (each: number) => number): number {
  return numbers.reduce((total, each) => total + measure(each), 0);
}
