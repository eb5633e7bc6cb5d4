import type { GuestLogLevel } from "../../plugin/contract.ts";
import { logLevels, Status } from "../abi.ts";
import type { HostFunctions } from "../link.ts";
import type { Vm } from "../vm.ts";

/** The guest's log. */
export function loggingFunctions(vm: Vm): HostFunctions {
  const { memory, meter } = vm;

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
      const level = logLevels.indexOf(vm.services.logLevel);
      return memory.writeU32(returnLevel, level) ? Status.OK : Status.INVALID_MEMORY_ACCESS;
    },
  };
}

/** Characters of a message that are kept. */
export const longestMessage = 16_384;
/** Fuel for a line that is written, and for each of its characters: in JSON, one may become six. */
const lineCost = 10_000;
const characterCost = 16;

/** Logs for the guest. The text is read only when somebody wants the level. */
export function writeLog(vm: Vm, level: GuestLogLevel, read: () => string): void {
  if (!isHeard(vm, level)) return;
  const message = cut(read());
  payForLog(vm, level, message.length);
  tellLog(vm, level, message);
}

/** Charges for a message, or a piece of one, that will be told; false when nobody would hear it. */
export function payForLog(vm: Vm, level: GuestLogLevel, length: number): boolean {
  if (!isHeard(vm, level)) return false;
  if (isWanted(vm, level)) vm.meter.work(lineCost + Math.min(length, longestMessage) * characterCost);
  return true;
}

/** Logs what was paid for. */
export function tellLog(vm: Vm, level: GuestLogLevel, text: string): void {
  const message = cut(text);
  if (isWorrying(level)) vm.root.complaint = message;
  if (level === "error" || level === "critical") vm.loggedError(message);
  if (isWanted(vm, level)) vm.services.log(level, message);
}

const isHeard = (vm: Vm, level: GuestLogLevel): boolean => isWanted(vm, level) || isWorrying(level);

const isWanted = (vm: Vm, level: GuestLogLevel): boolean =>
  logLevels.indexOf(level) >= logLevels.indexOf(vm.services.logLevel);

const isWorrying = (level: GuestLogLevel): boolean => level === "warn" || level === "error" || level === "critical";

const cut = (text: string): string => (text.length > longestMessage ? `${text.slice(0, longestMessage)}…` : text);
