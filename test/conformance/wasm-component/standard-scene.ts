/** A sidecar with two components: one does what it is asked to, the other keeps the messages that it is told. */
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { OutriggerClient } from "../../../sdk/client.ts";
import { componentGuestFile } from "../../support/component-guests.ts";
import { ask } from "../../support/http.ts";
import { type Sidecar, startSidecar, temporaryDirectory } from "../../support/sidecar.ts";
import { eventually } from "../backend.ts";

/** Components to stand on, each under the name `tested`. */
export interface Tested {
  readonly state?: object;
  readonly config?: object;
  readonly pubsub?: object;
}

export interface StandardScene extends AsyncDisposable {
  readonly sidecar: Sidecar;
  /** What an application beside the sidecar would use. */
  readonly client: OutriggerClient;
  /** What the guest's call gives; rejects with GuestError of what it throws. */
  call(name: string, ...parameters: readonly unknown[]): Promise<unknown>;
}

/** What a call of the guest's threw: the error of the interface. */
export class GuestError extends Error {
  readonly payload: unknown;

  constructor(payload: unknown) {
    super(JSON.stringify(payload));
    this.payload = payload;
  }
}

export const topics = { raw: "orders.raw", wrapped: "orders.wrapped", failing: "orders.failing" } as const;

const wit = (imports: readonly string[], handler: string): string =>
  `package test:guest@0.1.0;\nworld guest {\n${imports.map((name) => `  import ${name};\n`).join("")}  export ${handler};\n}\n`;

const keyvalue = (version: string): string[] =>
  ["store", "atomics", "batch"].map((name) => `wasi:keyvalue/${name}@${version}`);

const guests = {
  standard: () =>
    componentGuestFile({
      source: new URL("standard-guest.js", import.meta.url),
      world: "guest",
      wit: wit(
        [
          ...keyvalue("0.2.0-draft"),
          ...keyvalue("0.2.0-draft2"),
          "wasi:config/runtime@0.2.0-draft",
          "wasi:config/store@0.2.0-draft",
          "wasi:config/store@0.2.0-draft-2024-09-27",
          "wasi:config/store@0.2.0-rc.1",
          "wasi:logging/logging@0.1.0-draft",
          "wasmcloud:messaging/consumer@0.2.0",
          "fermyon:spin/key-value@2.0.0",
          "fermyon:spin/variables@2.0.0",
        ],
        "outrigger:runtime/handler@0.1.0",
      ),
    }),
  messages: () =>
    componentGuestFile({
      source: new URL("messages-guest.js", import.meta.url),
      world: "guest",
      wit: wit(["wasi:keyvalue/store@0.2.0-draft2"], "wasmcloud:messaging/handler@0.2.0"),
    }),
};

/** The components, beside a state store in memory that is called `kept` and a pub/sub component that nobody listens to. */
export async function openStandardScene(tested: Tested): Promise<StandardScene> {
  await using opening = new AsyncDisposableStack();
  const { path } = opening.use(await temporaryDirectory());
  const named = (kind: keyof Tested): Record<string, object> =>
    tested[kind] === undefined ? {} : { tested: tested[kind] };
  const granted = {
    state: [...Object.keys(named("state")), "kept"],
    config: [...Object.keys(named("config")), "more"],
    pubsub: [...Object.keys(named("pubsub")), "quiet"],
  };
  const subscriptions = Object.keys(named("pubsub")).flatMap((pubsub) =>
    Object.values(topics).map((topic) => ({ pubsub, topic })),
  );
  const configuration = { greeting: "hello", limits: { most: 3 }, both: "its own" };
  const limits = { budget: "200ms", deadline: "30s" };
  const plugins = {
    standard: { kind: "service", limits, capabilities: granted, configuration },
    messages: { kind: "service", limits, capabilities: { state: ["kept"] }, subscriptions },
  };
  for (const [name, manifest] of Object.entries(plugins)) {
    if (name === "messages" && subscriptions.length === 0) continue;
    await copyFile(await guests[name as keyof typeof guests](), join(path, "plugins", `${name}.wasm`));
    await writeFile(join(path, "plugins", `${name}.yaml`), stringify({ name, version: "1.0.0", ...manifest }));
  }
  const memory = { type: "memory" };
  const sidecar = opening.use(
    await startSidecar(path, {
      app: { id: "shop" },
      components: {
        state: { ...named("state"), kept: memory, secret: memory },
        config: { ...named("config"), more: memory },
        pubsub: { ...named("pubsub"), quiet: memory },
      },
      plugins: {
        directory: "./plugins",
        grants: { standard: granted, messages: { state: ["kept"], pubsub: Object.keys(named("pubsub")) } },
      },
      ingress: { routes: [{ match: { prefix: "/" }, to: { plugin: "standard" } }] },
    }),
  );
  const client = opening.use(new OutriggerClient({ address: sidecar.grpc }));
  await eventually(
    "the guest serves",
    async () => (await ask(sidecar.ingress, "/", question("draft.open", "kept"))).status === 200,
  );
  const open = opening.move();
  return {
    sidecar,
    client,
    async call(name, ...parameters) {
      const { status, text } = await ask(sidecar.ingress, "/", question(name, ...parameters));
      if (status === 200) return JSON.parse(text);
      if (status === 409) throw new GuestError(JSON.parse(text));
      throw new Error(`${name} was answered with ${status}: ${text}`);
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

const question = (call: string, ...parameters: readonly unknown[]) => ({
  method: "POST",
  body: JSON.stringify({ call, with: parameters }),
});
