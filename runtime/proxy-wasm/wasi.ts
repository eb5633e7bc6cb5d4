import { randomFillSync } from "node:crypto";
import type { HostFunctions } from "./link.ts";
import type { Vm } from "./vm.ts";

/** Numbers of WASI preview 1 (https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md). */
const Errno = { SUCCESS: 0, BADF: 8, FAULT: 21, INVAL: 28, NOENT: 44, NOSYS: 52, NOTSUP: 58 } as const;
const Clock = { REALTIME: 0, MONOTONIC: 1 } as const;
const stdout = 1;
const stderr = 2;
const characterDevice = 2;
const rightToWrite = 64n;
const maxRandomBytes = 65_536;
/** Fuel for each part that `fd_write` gathers, beyond its bytes. */
const vectorCost = 300;

/** What preview 1 knows beyond what is answered below; runtimes import it and hardly ever call it. */
const unsupported =
  `fd_advise fd_allocate fd_datasync fd_fdstat_set_rights fd_filestat_set_size fd_filestat_set_times fd_pread
  fd_pwrite fd_readdir fd_renumber fd_sync fd_tell fd_read fd_fdstat_set_flags fd_prestat_dir_name path_create_directory
  path_filestat_set_times path_link path_readlink path_remove_directory path_rename path_symlink path_unlink_file proc_raise
  sock_accept sock_recv sock_send sock_shutdown`.split(/\s+/);

/**
 * WASI preview 1 as runtimes of plugins need it: output that becomes log lines, clocks, random bytes, no arguments, the
 * environment of the manifest, no files.
 */
export function wasiFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  const answering = (errno: number) => (): number => {
    meter.harmlessHostcall();
    return errno;
  };
  /** Answers how many there are, and of how many bytes with the NUL after each. */
  const sizes = (strings: readonly Uint8Array[]): ((returnCount: number, returnSize: number) => number) => {
    const size = totalSize(strings);
    return (returnCount, returnSize) => {
      meter.harmlessHostcall();
      const written = memory.writeU32(returnCount, strings.length) && memory.writeU32(returnSize, size);
      return written ? Errno.SUCCESS : Errno.FAULT;
    };
  };
  const variables = Object.entries(vm.program.environment).map(([name, value]) => Buffer.from(`${name}=${value}\0`));

  return {
    ...Object.fromEntries(unsupported.map((name) => [name, answering(Errno.NOSYS)])),
    args_get: answering(Errno.SUCCESS),
    args_sizes_get: sizes([]),
    environ_sizes_get: sizes(variables),
    sched_yield: answering(Errno.SUCCESS),
    fd_close: answering(Errno.SUCCESS),
    fd_seek: answering(Errno.SUCCESS),
    fd_filestat_get: answering(Errno.BADF),
    fd_prestat_get: answering(Errno.BADF),
    path_open: answering(Errno.NOENT),
    path_filestat_get: answering(Errno.NOTSUP),

    environ_get(returnPointers: number, returnText: number): number {
      meter.harmlessHostcall();
      if (variables.length === 0) return Errno.SUCCESS;
      if (!memory.holds(returnPointers, variables.length * 4) || !memory.holds(returnText, totalSize(variables)))
        return Errno.FAULT;
      let at = returnText >>> 0;
      for (const [index, variable] of variables.entries()) {
        memory.writeU32((returnPointers >>> 0) + index * 4, at);
        memory.writeBytes(at, variable);
        at += variable.byteLength;
      }
      return Errno.SUCCESS;
    },

    fd_write(fd: number, vectors: number, count: number, returnWritten: number): number {
      meter.harmlessHostcall();
      if (fd !== stdout && fd !== stderr) return Errno.BADF;
      const table = memory.borrow(vectors, Math.min((count >>> 0) * 8, 0xffff_ffff));
      if (table === undefined) return Errno.FAULT;
      meter.work((count >>> 0) * vectorCost);
      const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
      const parts: Uint8Array[] = [];
      for (let at = 0; at < table.byteLength; at += 8) {
        const part = memory.borrow(view.getUint32(at, true), view.getUint32(at + 4, true));
        if (part === undefined) return Errno.FAULT;
        parts.push(part);
      }
      const written = totalSize(parts);
      if (!memory.writeU32(returnWritten, written)) return Errno.FAULT;
      if (written > 0) (fd === stdout ? vm.standardOutput : vm.errorOutput).write(Buffer.concat(parts));
      return Errno.SUCCESS;
    },

    fd_fdstat_get(fd: number, returnStat: number): number {
      meter.harmlessHostcall();
      if (fd !== stdout && fd !== stderr) return Errno.BADF;
      const stat = Buffer.alloc(24);
      stat[0] = characterDevice;
      stat.writeBigUInt64LE(rightToWrite, 8);
      return memory.writeBytes(returnStat, stat) ? Errno.SUCCESS : Errno.FAULT;
    },

    clock_res_get(_clock: number, returnResolution: number): number {
      meter.harmlessHostcall();
      return memory.writeU64(returnResolution, 1n) ? Errno.SUCCESS : Errno.FAULT;
    },

    clock_time_get(clock: number, _precision: bigint, returnTime: number): number {
      meter.harmlessHostcall();
      if (clock !== Clock.REALTIME && clock !== Clock.MONOTONIC) return Errno.NOTSUP;
      const time = clock === Clock.REALTIME ? vm.clock.now() : process.hrtime.bigint();
      return memory.writeU64(returnTime, time) ? Errno.SUCCESS : Errno.FAULT;
    },

    random_get(buffer: number, size: number): number {
      meter.harmlessHostcall();
      if (size >>> 0 > maxRandomBytes) return Errno.INVAL;
      const bytes = memory.borrow(buffer, size);
      if (bytes === undefined) return Errno.FAULT;
      randomFillSync(bytes);
      return Errno.SUCCESS;
    },

    /** Guests that would sleep go on at once. */
    poll_oneoff(_subscriptions: number, _events: number, _count: number, returnCount: number): number {
      meter.harmlessHostcall();
      return memory.writeU32(returnCount, 0) ? Errno.SUCCESS : Errno.FAULT;
    },

    proc_exit(code: number): never {
      return meter.stop(`it exited with code ${code}`);
    },
  };
}

function totalSize(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}
