/**
 * Loads the FFI and binds libc, or says why that cannot be. The only file that names the FFI package, which is an
 * optional dependency: without it everything works, on the portable engine.
 */
import { createRequire } from 'node:module';
import { createArena } from './arena.ts';
import type { Arena } from './arena.ts';
import { probeKernel } from './probe-kernel.ts';
import { bindKernel } from './kernel.ts';
import type { Kernel, NativeLibrary } from './kernel.ts';

export type LoadedKernel =
  | {
      readonly ok: true;
      readonly kernel: Kernel;
      /** Maps memory shared with the kernel; throws a SystemError when there is none. */
      readonly createArena: (bytes: number) => Arena;
    }
  | { readonly ok: false; readonly why: string };

/** What is used of the FFI package. */
interface Ffi {
  load(path: string | null): NativeLibrary;
  view(address: number, length: number): ArrayBuffer;
  errno(): number;
}

const ARCHITECTURES: ReadonlySet<string> = new Set(['x64', 'arm64']);
/** null is the process itself, which is linked with libc; the others are glibc and musl where it is not. */
const LIBRARIES = [null, 'libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];

/**
 * Called once on each thread that makes system calls; never throws. A kernel belongs to the thread that loaded it,
 * because `errno` does.
 */
export function loadKernel(): LoadedKernel {
  if (process.platform !== 'linux') return { ok: false, why: `it needs Linux, this is ${process.platform}` };
  if (!ARCHITECTURES.has(process.arch)) {
    return { ok: false, why: `it needs an x64 or arm64 processor, this is ${process.arch}` };
  }
  let ffi: Ffi;
  try {
    ffi = createRequire(import.meta.url)('koffi') as Ffi;
  } catch (error) {
    return { ok: false, why: `the optional package koffi cannot be loaded: ${firstLine(error)}` };
  }
  return bindLibc(ffi);
}

function bindLibc(ffi: Ffi): LoadedKernel {
  const failures: string[] = [];
  for (const path of LIBRARIES) {
    try {
      const library = ffi.load(path);
      const kernel = bindKernel(library, errnoReader(ffi, library));
      const makeArena = (bytes: number): Arena =>
        createArena(kernel, (at, length) => ffi.view(at, length), bytes);
      const refusal = probeKernel(kernel, makeArena);
      return refusal === null ? { ok: true, kernel, createArena: makeArena } : { ok: false, why: refusal };
    } catch (error) {
      failures.push(`${path ?? 'this process'}: ${firstLine(error)}`);
    }
  }
  return { ok: false, why: `the functions of libc cannot be bound (${failures.join('; ')})` };
}

/**
 * errno is a variable of the calling thread at a fixed address (errno(3)), so that reading it costs a load instead
 * of another call, and nothing comes between the call that failed and its reason.
 */
function errnoReader(ffi: Ffi, library: NativeLibrary): () => number {
  const address = library.func('uintptr_t __errno_location()')();
  const variable = new Int32Array(ffi.view(address, 4));
  return () => variable[0]!;
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]!;
}
