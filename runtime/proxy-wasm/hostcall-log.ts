import { Status } from "./abi.ts";
import { writeLog } from "./imports/logging.ts";
import type { HostFunctions } from "./link.ts";
import type { Vm } from "./vm.ts";

const longestSubject = 200;
const statusNames: ReadonlyMap<unknown, string> = new Map(Object.entries(Status).map(([name, code]) => [code, name]));

/** At which parameter the pointer to what a hostcall is about stands; its size follows. */
const subjects: Readonly<Record<string, number>> = {
  proxy_get_header_map_value: 1,
  proxy_add_header_map_value: 1,
  proxy_replace_header_map_value: 1,
  proxy_remove_header_map_value: 1,
  proxy_get_property: 0,
  proxy_set_property: 0,
  proxy_http_call: 0,
  proxy_grpc_call: 0,
  proxy_grpc_stream: 0,
  proxy_get_shared_data: 0,
  proxy_set_shared_data: 0,
  proxy_register_shared_queue: 0,
  proxy_resolve_shared_queue: 2,
  proxy_define_metric: 1,
  proxy_call_foreign_function: 0,
};

/** The functions, each of which says in the guest's log when it answers anything but OK: for authors of plugins. */
export function withHostcallLog(vm: Vm, functions: HostFunctions): HostFunctions {
  return Object.fromEntries(
    Object.entries(functions).map(([name, run]) => [
      name,
      run instanceof WebAssembly.Suspending ? run : logged(vm, name, run),
    ]),
  );
}

function logged(vm: Vm, name: string, run: (...parameters: never[]) => unknown): HostFunctions[string] {
  const call = run as (...parameters: unknown[]) => unknown;
  return (...parameters: unknown[]) => {
    const answer = call(...parameters);
    const status = answer === Status.OK ? undefined : statusNames.get(answer);
    if (status !== undefined && name.startsWith("proxy_")) {
      writeLog(vm, "info", () => `${name} answered ${status}${aboutWhat(vm, name, parameters)} in ${placeOf(vm)}`);
    }
    return answer;
  };
}

function aboutWhat({ memory }: Vm, name: string, parameters: readonly unknown[]): string {
  const at = subjects[name];
  if (at === undefined) return "";
  const text = memory.utf8(Number(parameters[at]), Number(parameters[at + 1]));
  return text === undefined ? " for what lies outside the memory" : ` for '${printable(text)}'`;
}

/** A path's NULs as dots, other control characters as nothing. */
const printable = (text: string): string =>
  text
    .slice(0, longestSubject)
    .replaceAll("\0", ".")
    .replace(/\p{Cc}/gu, "");

const placeOf = ({ running, stream, connection, root }: Vm): string =>
  `${running?.name ?? "its start function"} of context ${(stream ?? connection ?? root).id}`;
