import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";
import { writeLog } from "./logging.ts";

/** What compilers import on their own behalf: Emscripten and AssemblyScript. */
export function toolchainFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

  /** An AssemblyScript string: UTF-16, its size in bytes before it. */
  const utf16 = (pointer: number): string => {
    const size = pointer === 0 ? 0 : (memory.readU32(pointer - 4) ?? 0);
    const bytes = memory.copy(pointer, size);
    return bytes === undefined ? "" : Buffer.from(bytes).toString("utf16le");
  };

  return {
    // Views notice growth by themselves.
    emscripten_notify_memory_growth: () => {},
    pthread_equal: (left: number, right: number) => (left === right ? 1 : 0),
    seed: () => Math.random() * Number.MAX_SAFE_INTEGER,

    abort(message: number, file: number, line: number, column: number): never {
      meter.harmlessHostcall();
      const reason = `it aborted at ${utf16(file)}:${line}:${column}: ${utf16(message)}`;
      writeLog(vm, "critical", () => reason);
      return meter.stop(reason);
    },

    trace(message: number): void {
      meter.harmlessHostcall();
      writeLog(vm, "debug", () => utf16(message));
    },
  };
}
