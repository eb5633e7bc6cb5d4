/** A function as Layotto's users write them: dropped in, found by the id that it gives itself, with state and services behind it. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import { bytes, OutriggerClient } from "../../sdk/index.ts";
import { ask, askUntil } from "../support/http.ts";
import { drop, guestText, out, type PlaceText } from "../support/proxy-wasm-guest.ts";
import { freePort } from "../support/server-process.ts";
import { startSidecar, temporaryDirectory } from "../support/sidecar.ts";
import { assemble } from "../support/wat.ts";

const answer = (body: string): string =>
  drop(`(call $proxy_set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 0) ${body})`);
const found = "(i32.load (i32.const 0)) (i32.load (i32.const 4))";

/** A function of the id that answers with what the call leaves at `out`. */
const functionOf = (id: string, call: (text: PlaceText) => string): Promise<Uint8Array> =>
  assemble(
    id,
    guestText((text) => ({
      imports: `
        (import "env" "proxy_get_state" (func $get_state (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_invoke_service" (func $invoke (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))`,
      on: {
        proxy_get_id: drop(`(call $proxy_set_buffer_bytes (i32.const 8) (i32.const 0) (i32.const 4) ${text(id)})`),
        proxy_on_request_body: `${drop(call(text))} ${answer(found)} (i32.const 0)`,
      },
    })),
  );

test("a function is found by its id, calls another, and that one reads the state", async () => {
  await using directory = await temporaryDirectory();
  const deploy = async (name: string, module: Uint8Array, capabilities: object): Promise<void> => {
    const manifest = { name, kind: "service", capabilities };
    await writeFile(join(directory.path, "plugins", `${name}.yaml`), stringify(manifest));
    await writeFile(join(directory.path, "plugins", `${name}.wasm`), module);
  };
  const body = `(call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 100) ${out})`;
  const invoke = (text: PlaceText): string =>
    `${body}) (drop (call $invoke ${text("id_2")} ${text("/")} ${found} ${out})`;
  const read = (text: PlaceText): string => `${body}) (drop (call $get_state ${text("books")} ${found} ${out})`;
  await deploy("client", await functionOf("id_1", invoke), { invoke: ["id_2"] });
  await deploy("server", await functionOf("id_2", read), { state: ["books"] });

  // The services of functions are functions behind the same ingress.
  const ingress = `127.0.0.1:${await freePort()}`;
  await using sidecar = await startSidecar(directory.path, {
    components: { state: { books: { type: "memory" } } },
    upstreams: { id_2: { endpoints: [ingress] } },
    plugins: {
      directory: "./plugins",
      grants: { client: { invoke: ["id_2"] }, server: { state: ["books"] } },
    },
    ingress: { http: ingress, routes: [{ match: { prefix: "/" }, to: { pluginById: true } }] },
  });
  await using client = new OutriggerClient({ address: sidecar.grpc });
  await client.state.save({ store: "books", key: "book1", value: bytes(Buffer.from("there are 100")) });

  await askUntil(sidecar.ingress, "/?book1", ({ status }) => status === 200, { headers: { id: "id_2" } });
  const direct = await ask(sidecar.ingress, "/?book1", { headers: { id: "id_2" } });
  assert.equal(direct.text, "there are 100");
  await askUntil(sidecar.ingress, "/?book1", ({ status }) => status === 200, { headers: { id: "id_1" } });
  assert.equal((await ask(sidecar.ingress, "/?book1", { headers: { id: "id_1" } })).text, "there are 100");
  assert.equal(
    (await ask(sidecar.ingress, "/", { headers: { id: "server" }, method: "POST", body: "book1" })).text,
    "there are 100",
  );
  assert.equal((await ask(sidecar.ingress, "/", { headers: { id: "id_3" } })).status, 404);
});
