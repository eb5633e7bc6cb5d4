import type { GuestLogLevel } from "../../plugin/contract.ts";
import { logLevels, Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

/** The guest's log. */
export function loggingFunctions(vm: Vm): HostFunctions {
  const { memory, meter, services } = vm;

  return {
    proxy_log(level: number, message: number, messageSize: number): Status {
      meter.harmlessHostcall();
      const name = logLevels[level];
      if (!memory.holds(message, messageSize)) return Status.INVALID_MEMORY_ACCESS;
      if (name === undefined) return Status.BAD_ARGUMENT;
      writeLog(vm, name, () => memory.utf8(message, messageSize) ?? "");
      return Status.OK;
    },

    proxy_get_log_level(returnLevel: number): Status {
      meter.harmlessHostcall();
      const level = logLevels.indexOf(services.logLevel);
      return memory.writeU32(returnLevel, level) ? Status.OK : Status.INVALID_MEMORY_ACCESS;
    },
  };
}

/** Characters of a message that are kept. */
const longestMessage = 16_384;
/** Fuel for a line that is written, and for each of its characters: in JSON, one may become six. */
const lineCost = 4_000;
const characterCost = 8;

/** Logs for the guest. The text is read only when somebody wants the level. */
export function writeLog(vm: Vm, level: GuestLogLevel, read: () => string): void {
  const wanted = logLevels.indexOf(level) >= logLevels.indexOf(vm.services.logLevel);
  const worrying = level === "warn" || level === "error" || level === "critical";
  if (!wanted && !worrying) return;
  const text = read();
  const message = text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text;
  if (worrying) vm.complaint = message;
  if (!wanted) return;
  vm.meter.work(lineCost + message.length * characterCost);
  vm.services.log(level, message);
}
