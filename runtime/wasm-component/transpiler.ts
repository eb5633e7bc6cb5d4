import { type ChildProcessByStdio, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { extname } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { SandboxError } from "../plugin/sandbox/sandbox-error.ts";
import { turn } from "../turn.ts";
import { type AsyncInterfaces, answerKind, digestBytes } from "./transpiled.ts";

export interface TranspilerOptions {
  /**
   * A component that takes more of a processor is refused, or, where the system does not tell of that, one that takes longer;
   * default 60 seconds.
   */
  readonly timeoutMs?: number;
  /** Where the process's file lies; for tests. */
  readonly program?: URL;
}

/** A component of 64 MiB gives its core modules and some code. */
const mostAnswerBytes = 160 * 1024 ** 2;
const mostComplaintBytes = 4_096;

const programUrl = new URL(`./transpile-process${extname(import.meta.url)}`, import.meta.url);

/** No more memory than this, whatever the component does to the transpiler. */
const limits = ["--max-old-space-size=512", "--wasm-max-mem-pages=16384"];

/** On a machine that has no time for it, the process may take so many times as long. */
const patience = 10;
/** Of what Linux counts processor time in. */
const msPerTick = 10;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** Transpiles components, each in a process of its own that ends with it, and one after the other. */
export class Transpiler implements AsyncDisposable {
  readonly #timeoutMs: number;
  readonly #program: string;
  #last: Promise<unknown> = Promise.resolve();
  #child: Child | undefined;
  #closed = false;

  constructor(options: TranspilerOptions = {}) {
    this.#timeoutMs = options.timeoutMs ?? 60_000;
    this.#program = fileURLToPath(options.program ?? programUrl);
  }

  /** What `decodeTranspiled` reads, and behind it its digest. Rejects with SandboxError when the component is refused, or takes too long. */
  transpile(component: Uint8Array, interfaces: AsyncInterfaces): Promise<Uint8Array<ArrayBuffer>> {
    const turn = this.#last.then(() => this.#run(component, interfaces));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#child?.kill("SIGKILL");
    await this.#last;
  }

  async #run(component: Uint8Array, interfaces: AsyncInterfaces): Promise<Uint8Array<ArrayBuffer>> {
    await turn();
    if (this.#closed) throw new SandboxError("the compiler was shut down");
    // Without the sidecar's environment, which may hold secrets.
    const child = spawn(process.execPath, [...limits, this.#program], { env: {}, stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    lowerPriority(child);
    let isLate = false;
    let timer: NodeJS.Timeout;
    const givenUpAt = performance.now() + this.#timeoutMs * patience;
    const check = (): void => {
      const leftMs = this.#timeoutMs - (processorMs(child) ?? this.#timeoutMs);
      if (leftMs > 0 && performance.now() < givenUpAt) {
        timer = setTimeout(check, leftMs);
        return;
      }
      isLate = true;
      child.kill("SIGKILL");
    };
    timer = setTimeout(check, this.#timeoutMs);
    try {
      const answer = await converse(child, component, interfaces);
      if (answer instanceof Uint8Array) return contentOf(answer);
      if (isLate) throw new SandboxError(`the component took longer than ${this.#timeoutMs} ms to transpile`);
      if (this.#closed) throw new SandboxError("the compiler was shut down");
      throw new SandboxError(`the component could not be transpiled: ${answer}`);
    } finally {
      clearTimeout(timer);
      this.#child = undefined;
    }
  }
}

/** The answer in full, or why there is none. */
function converse(
  child: Child,
  component: Uint8Array,
  interfaces: AsyncInterfaces,
): Promise<Uint8Array<ArrayBuffer> | string> {
  const chunks: Buffer[] = [];
  let length = 0;
  let complaint = "";
  const answer = new Promise<Uint8Array<ArrayBuffer> | string>((resolve) => {
    child.once("error", (error) => resolve(`its process could not be started: ${error.message}`));
    child.once("close", (code, signal) => {
      if (length > mostAnswerBytes) resolve(`it becomes larger than ${mostAnswerBytes} bytes`);
      else if (code === 0 && length > digestBytes) resolve(joined(chunks, length));
      else resolve(`its process ended with ${signal ?? code}${reasonIn(complaint)}`);
    });
  });
  // Where no more files may be open it has no pipes, and its error comes.
  if (child.pid === undefined) return answer;
  child.stdout.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length > mostAnswerBytes) child.kill("SIGKILL");
    else chunks.push(chunk);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(0, mostComplaintBytes);
  });
  // A process that ends early closes its input; why it ended is told by its end.
  child.stdin.on("error", () => undefined);
  const asked = Buffer.from(JSON.stringify(interfaces));
  const askedLength = Buffer.alloc(4);
  askedLength.writeUInt32LE(asked.length);
  child.stdin.write(askedLength);
  child.stdin.write(asked);
  child.stdin.end(component);
  return answer;
}

function joined(chunks: readonly Buffer[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Throws SandboxError when the answer is a refusal. */
function contentOf(answer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (answer[0] === answerKind.transpiled) return answer.subarray(1);
  throw new SandboxError(Buffer.from(answer.subarray(1, -digestBytes)).toString("utf8"));
}

/** What looks like the message of an error among what the process complained of. */
function reasonIn(complaint: string): string {
  const line = complaint.split("\n").find((text) => /error/i.test(text));
  return line === undefined ? "" : ` (${line.trim().slice(0, 200)})`;
}

/** What the process has used of processors; undefined where the system does not tell. */
function processorMs({ pid }: Child): number | undefined {
  try {
    const told = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [user = "", system = ""] = told
      .slice(told.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13);
    return (Number(user) + Number(system)) * msPerTick;
  } catch {
    return undefined;
  }
}

/** The sidecar's calls come first. */
function lowerPriority(child: Child): void {
  if (child.pid === undefined) return;
  try {
    setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already, or the system does not let us; it then competes as an equal.
  }
}
