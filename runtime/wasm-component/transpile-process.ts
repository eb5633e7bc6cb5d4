/**
 * The process in which a component is checked and transpiled: it reads one component from its input, writes what became of it to
 * its output, and ends. What jco takes of memory goes with it, and what a hostile component does to jco stays in it.
 */
import { createHash } from "node:crypto";
import { generate, $init as ready } from "@bytecodealliance/jco-transpile/component";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { readComponent } from "./component-binary.ts";
import { isNameOf } from "./interface-name.ts";
import { countInstances, patchGlue } from "./patch-glue.ts";
import {
  type AsyncInterface,
  type AsyncInterfaces,
  answerKind,
  encodeTranspiled,
  type Transpiled,
} from "./transpiled.ts";
import { checkTypes } from "./type-check.ts";

/** Every core instance counts its fuel by itself, so that their number bounds what one call may use. */
const mostCoreInstances = 64;
const mostReasonCharacters = 600;
/** The largest of what compilers make is a third of this; every byte takes the sidecar's own thread 30 ns to read. */
const mostGlueCharacters = 3 * 1024 ** 2;

async function transpile(bytes: Uint8Array, interfaces: AsyncInterfaces): Promise<Transpiled> {
  const outline = readComponent(bytes);
  const imports = outline.imports.filter(isLinked).map(({ name }) => name);
  const exports = outline.exports.filter(isLinked).map(({ name }) => name);
  // The package's own entry brings an optimiser and a minifier along; this is the part of it that transpiles.
  await ready;
  const generated = generate(bytes, {
    name: "component",
    instantiation: { tag: "async" },
    noTypescript: true,
    noNodejsCompat: true,
    noComponentErrorWrapping: true,
    base64Cutoff: 0,
    map: imports.map((name) => [name, name]),
    asyncMode: {
      tag: "jspi",
      val: { imports: asyncNames(imports, interfaces.imports), exports: asyncNames(exports, interfaces.exports) },
    },
  });
  checkTypes(bytes, (name) => interfaces.exports.some((one) => isNameOf(one, name)));
  const files = Object.fromEntries(generated.files);
  const source = files["component.js"];
  if (source === undefined) throw new SandboxError("the transpiler wrote no code for the component");
  if (source.length > mostGlueCharacters)
    throw new SandboxError(
      `the types of the component take ${source.length} bytes of code to pass on, and the limit is ${mostGlueCharacters}`,
    );
  const glue = new TextDecoder().decode(source);
  const instances = countInstances(glue);
  const total = [...instances.values()].reduce((sum, count) => sum + count, 0);
  if (total > mostCoreInstances)
    throw new SandboxError(`the component makes ${total} core instances, and the limit is ${mostCoreInstances}`);
  const cores = Object.entries(files).flatMap(([name, core]) =>
    name.endsWith(".wasm") ? [{ name, bytes: new Uint8Array(core), instances: instances.get(name) ?? 0 }] : [],
  );
  return { glue: patchGlue(glue), cores, imports, exports };
}

const isLinked = ({ kind }: { readonly kind: string }): boolean => kind === "interface" || kind === "function";

/** Of the interfaces that the component really has, in their versions: `wasi:io/poll@0.2.3#poll`. */
function asyncNames(present: readonly string[], interfaces: readonly AsyncInterface[]): string[] {
  return present.flatMap((fullName) =>
    interfaces
      .filter((one) => isNameOf(one, fullName))
      .flatMap(({ functions }) => functions.map((name) => `${fullName}#${name}`)),
  );
}

/** The interfaces, as JSON that is preceded by its length, and then the component. */
async function readRequest(): Promise<{ bytes: Uint8Array; interfaces: AsyncInterfaces }> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const request = Buffer.concat(chunks);
  const end = 4 + request.readUInt32LE(0);
  return { bytes: request.subarray(end), interfaces: JSON.parse(request.toString("utf8", 4, end)) };
}

function write(kind: number, pieces: readonly Uint8Array[]): void {
  process.stdout.write(Uint8Array.of(kind));
  const hash = createHash("sha256");
  for (const piece of pieces) {
    hash.update(piece);
    process.stdout.write(piece);
  }
  process.stdout.end(hash.digest());
}

/** The transpiler's words: what failed, and the last of its causes, without its own frames around them. */
function reasonOf(error: unknown): string {
  const whole = error instanceof Error ? error.message : String(error);
  const printable = whole.replace(/[^ -~\n]/g, "?");
  const [what = "no reason given", ...causes] = printable.split("\n").flatMap((line) => line.trim() || []);
  const cause = causes[0] === "Caused by:" ? causes.at(-1)?.replace(/^\d+: /, "") : undefined;
  return (cause === undefined ? what : `${what}: ${cause}`).slice(0, mostReasonCharacters);
}

async function answer(): Promise<void> {
  try {
    const { bytes, interfaces } = await readRequest();
    write(answerKind.transpiled, encodeTranspiled(await transpile(bytes, interfaces)));
  } catch (error) {
    write(answerKind.refused, [Buffer.from(reasonOf(error))]);
  }
}

void answer();
