import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { temporaryDirectory } from "../../../test/support/sidecar.ts";

it("a credential helper is told of where no more files may be open", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "config.json");
  await writeFile(file, '{ "credsStore": "some" }');
  const program = `
    import { closeSync, openSync } from "node:fs";
    import { dockerCredentials } from ${JSON.stringify(import.meta.resolve("./docker-credentials.ts"))};
    const open = [];
    try {
      for (;;) open.push(openSync("/dev/null", "r"));
    } catch {}
    closeSync(open.pop());
    await dockerCredentials(${JSON.stringify(file)}, "registry", "some").catch(({ message, cause }) =>
      console.log(message, cause.code));`;
  const node = [process.execPath, "--no-warnings", "--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)("sh", ["-c", 'ulimit -n 64 && exec "$@"', "sh", ...node]);
  assert.equal(stdout, "docker-credential-some cannot be run EMFILE\n");
});
