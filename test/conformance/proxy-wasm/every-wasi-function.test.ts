/** Every function of WASI preview 1 for each version of the ABI, by both names of the module. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { supportedVersions } from "../../../runtime/proxy-wasm/abi.ts";
import { outside, say } from "../../support/proxy-wasm-guest.ts";
import { startText, TestStream } from "../../support/proxy-wasm-host.ts";

/** Parameters of the functions: i for i32, I for i64. */
const parameters = {
  args_get: "ii",
  args_sizes_get: "ii",
  clock_res_get: "ii",
  clock_time_get: "iIi",
  environ_get: "ii",
  environ_sizes_get: "ii",
  fd_advise: "iIIi",
  fd_allocate: "iII",
  fd_close: "i",
  fd_datasync: "i",
  fd_fdstat_get: "ii",
  fd_fdstat_set_flags: "ii",
  fd_fdstat_set_rights: "iII",
  fd_filestat_get: "ii",
  fd_filestat_set_size: "iI",
  fd_filestat_set_times: "iIIi",
  fd_pread: "iiiIi",
  fd_prestat_dir_name: "iii",
  fd_prestat_get: "ii",
  fd_pwrite: "iiiIi",
  fd_read: "iiii",
  fd_readdir: "iiiIi",
  fd_renumber: "ii",
  fd_seek: "iIii",
  fd_sync: "i",
  fd_tell: "ii",
  fd_write: "iiii",
  path_create_directory: "iii",
  path_filestat_get: "iiiii",
  path_filestat_set_times: "iiiiIIi",
  path_link: "iiiiiii",
  path_open: "iiiiiIIii",
  path_readlink: "iiiiii",
  path_remove_directory: "iii",
  path_rename: "iiiiii",
  path_symlink: "iiiii",
  path_unlink_file: "iii",
  poll_oneoff: "iiii",
  proc_raise: "i",
  random_get: "ii",
  sched_yield: "",
  sock_accept: "iii",
  sock_recv: "iiiiii",
  sock_send: "iiiii",
  sock_shutdown: "ii",
} as const;
type Name = keyof typeof parameters;

const imports = (module: string): string =>
  Object.entries(parameters)
    .map(([name, types]) => {
      const list = [...types].map((type) => (type === "i" ? "i32" : "i64")).join(" ");
      return `(import "${module}" "${name}" (func $${name} (param ${list}) (result i32)))`;
    })
    .concat(`(import "${module}" "proc_exit" (func $proc_exit (param i32)))`)
    .join("\n");

/** A call whose parameters are 0 but for those that are given. */
function call(name: Name, ...given: (number | string)[]): string {
  const values = [...parameters[name]].map((type, index) => {
    const value = given[index] ?? 0;
    return typeof value === "string" ? value : `(${type}32.const ${value})`.replace("I32", "i64");
  });
  return say(`(call $${name} ${values.join(" ")})`);
}

/** What the functions answer, asked rightly and wrongly. */
const calls: readonly (readonly [call: string, errno: number])[] = [
  [call("args_sizes_get"), 0],
  [call("args_sizes_get", outside), 21],
  [call("args_get"), 0],
  [call("environ_sizes_get"), 0],
  [call("environ_sizes_get", outside), 21],
  [call("environ_get", 16, 64), 0],
  [call("environ_get", outside, 64), 21],
  [call("clock_res_get", 0, 16), 0],
  [call("clock_res_get", 0, outside), 21],
  [call("clock_time_get", 0, 0, 16), 0],
  [call("clock_time_get", 9, 0, 16), 58],
  [call("clock_time_get", 1, 0, outside), 21],
  [call("random_get", 16, 8), 0],
  [call("random_get", 16, 65_537), 28],
  [call("random_get", outside, 8), 21],
  [call("poll_oneoff", 0, 0, 1, 16), 0],
  [call("poll_oneoff", 0, 0, 1, outside), 21],
  [call("sched_yield"), 0],
  [call("fd_write", 1, 0, 0, 16), 0],
  [call("fd_write", 3, 0, 0, 16), 8],
  [call("fd_write", 1, 0, 0, outside), 21],
  [call("fd_fdstat_get", 1, 16), 0],
  [call("fd_fdstat_get", 3, 16), 8],
  [call("fd_fdstat_get", 2, outside), 21],
  [call("fd_close", 1), 0],
  [call("fd_seek", 1), 0],
  [call("fd_filestat_get", 1), 8],
  [call("fd_prestat_get", 3), 8],
  [call("path_open", 3), 44],
  [call("path_filestat_get", 3), 58],
  ...(
    `fd_advise fd_allocate fd_datasync fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_set_size fd_filestat_set_times
    fd_pread fd_prestat_dir_name fd_pwrite fd_read fd_readdir fd_renumber fd_sync fd_tell path_create_directory
    path_filestat_set_times path_link path_readlink path_remove_directory path_rename path_symlink path_unlink_file
    proc_raise sock_accept sock_recv sock_send sock_shutdown`.split(/\s+/) as Name[]
  ).map((name) => [call(name), 52] as const),
];

for (const version of supportedVersions) {
  const marker = `proxy_abi_version_${version.replaceAll(".", "_")}`;
  for (const module of ["wasi_snapshot_preview1", "wasi_unstable"])
    describe(`${module} of ABI ${version}`, () => {
      it("answers all its functions", async () => {
        const body = calls.map(([text]) => text).join("\n");
        await using guest = await startText(
          () => ({ marker, imports: imports(module), on: { proxy_on_request_headers: `${body} (i32.const 0)` } }),
          { environment: { A: "1" } },
        );
        guest.instance.open(new TestStream()).requestHeaders(true);
        assert.deepEqual(guest.lost, []);
        assert.deepEqual(
          guest.services.lines,
          calls.map(([, errno]) => String(errno)),
        );
      });

      it("ends the guest that exits", async () => {
        await using guest = await startText(() => ({
          marker,
          imports: imports(module),
          on: { proxy_on_request_headers: "(call $proc_exit (i32.const 7)) (i32.const 0)" },
        }));
        guest.instance.open(new TestStream()).requestHeaders(true);
        assert.match(String(guest.lost[0]?.message), /exited with code 7/);
      });

      it("is there while the guest starts", async () => {
        const body = calls.map(([text]) => text).join("\n");
        await using guest = await startText(() => ({ marker, imports: imports(module), on: { _initialize: body } }), {
          environment: { A: "1" },
        });
        assert.equal(guest.services.lines.length, calls.length);
      });
    });
}
