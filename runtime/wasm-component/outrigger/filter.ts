import type { Direction, HeaderMap, StreamFilter, StreamHost } from "../../plugin/contract.ts";
import { PluginError } from "../../plugin/plugin-error.ts";
import type { ExportedInterface, Guest } from "../provider.ts";
import { exportedFunction } from "./exported-function.ts";
import { failStream } from "./fail-stream.ts";
import { noBytes, replyOf, requestOf, responseOf, type WitRequest, type WitResponse } from "./message.ts";
import type { Pairs } from "./pairs.ts";
import { validResponse } from "./valid-response.ts";
import { outriggerVersions } from "./version.ts";
import { WholeStream } from "./whole-stream.ts";

type Decision =
  | { readonly tag: "pass" }
  | { readonly tag: "forward"; readonly val: WitRequest }
  | { readonly tag: "respond"; readonly val: WitResponse };

type Verdict = { readonly tag: "pass" } | { readonly tag: "replace"; readonly val: WitResponse };

type OnRequest = (request: WitRequest) => Decision | Promise<Decision>;

type OnResponse = (request: WitRequest, response: WitResponse) => Verdict | Promise<Verdict>;

const [version] = outriggerVersions;
const requests = "outrigger:runtime/filter";
const responses = "outrigger:runtime/response-filter";

const interfaceOf = (name: string, called: string): ExportedInterface => ({
  name,
  versions: outriggerVersions,
  functions: [called],
  takesWholeRequests: true,
  takes: (_host, kind) => kind === "filter",
  open: (guest, _exported, host, ended) => filterStream(guest, host, ended),
});

export const filterInterface = interfaceOf(requests, "on-request");
export const responseFilterInterface = interfaceOf(responses, "on-response");

function filterStream(guest: Guest, host: StreamHost, ended: () => void): StreamFilter {
  const step = new FilterStep(guest, host, ended);
  return new WholeStream({
    request: () => void step.request(),
    ...(step.seesResponses ? { response: () => void step.response() } : {}),
    end: () => step.end(),
  });
}

/** A step in a filter chain. A guest that sees responses keeps its instance from the request to the end of the response. */
class FilterStep {
  readonly #guest: Guest;
  readonly #host: StreamHost;
  readonly #ended: () => void;
  readonly #onRequest: OnRequest | undefined;
  readonly #onResponse: OnResponse | undefined;
  /** The request as it went on, for the guest to see with its response. */
  #asked: WitRequest | undefined;
  #underWay = 0;
  /** Nothing is to be done for the stream beyond what is under way. */
  #isDone = false;
  #isOver = false;

  constructor(guest: Guest, host: StreamHost, ended: () => void) {
    this.#guest = guest;
    this.#host = host;
    this.#ended = ended;
    this.#onRequest = functionOf<OnRequest>(guest, requests, "onRequest");
    this.#onResponse = functionOf<OnResponse>(guest, responses, "onResponse");
  }

  get seesResponses(): boolean {
    return this.#onResponse !== undefined;
  }

  /** The request is held. */
  request(): Promise<void> {
    return this.#run(() => this.#decide());
  }

  /** The response is held. */
  response(): Promise<void> {
    return this.#run(() => this.#judge());
  }

  /** Nothing more comes of the stream. */
  end(): void {
    this.#isDone = true;
    if (this.#underWay > 0) this.#guest.unwanted("deadline");
    else this.#overWhenDone();
  }

  async #run(work: () => Promise<"goes on" | "done">): Promise<void> {
    this.#underWay++;
    let outcome: "goes on" | "done" = "done";
    try {
      outcome = await work();
    } catch (error) {
      failStream(this.#guest, this.#host, error);
    } finally {
      this.#underWay--;
      if (outcome === "done") this.#isDone = true;
      this.#overWhenDone();
    }
  }

  #overWhenDone(): void {
    if (!this.#isDone || this.#underWay > 0 || this.#isOver) return;
    this.#isOver = true;
    this.#ended();
  }

  async #decide(): Promise<"goes on" | "done"> {
    const host = this.#host;
    const decision = await this.#decision();
    if (decision.tag === "respond") {
      host.respond(replyOf(validResponse(this.#guest, host, decision.val)));
      return "done";
    }
    if (decision.tag === "forward" && !this.#change("request", requestLine(decision.val), decision.val)) return "done";
    if (this.seesResponses) this.#asked = { ...requestOf(host), body: noBytes };
    host.resume("request");
    return this.seesResponses ? "goes on" : "done";
  }

  async #decision(): Promise<Decision> {
    const onRequest = this.#onRequest;
    if (onRequest === undefined) return { tag: "pass" };
    return await this.#guest.call("on-request", () => onRequest(requestOf(this.#host)));
  }

  async #judge(): Promise<"done"> {
    const host = this.#host;
    const request = this.#asked;
    const onResponse = this.#onResponse;
    if (onResponse !== undefined && request !== undefined) {
      const verdict = await this.#guest.call("on-response", () => onResponse(request, responseOf(host)));
      if (verdict.tag === "replace") {
        const response = validResponse(this.#guest, host, verdict.val);
        if (!this.#change("response", statusLine(response), response)) return "done";
      }
    }
    host.resume("response");
    return "done";
  }

  /** Puts the message in the place of the one that is held; false when it cannot be, which the stream was told. */
  #change(direction: Direction, line: Pairs, message: Changed): boolean {
    const headers = this.#host.headers(`${direction}-headers`);
    const body = this.#host.body(direction);
    if (headers === undefined) return false;
    if (body === undefined && message.body.length > 0) {
      const { name, version } = this.#guest.host.program;
      const what = `plugin '${name}' ${version} gave a body to a ${direction} that had none`;
      this.#host.failed(new PluginError(name, version, "trap", what));
      return false;
    }
    headers.replaceAll([...line, ...fieldsFor(headers, message)]);
    body?.splice(0, body.length, message.body);
    return true;
  }
}

type Changed = Pick<WitResponse, "headers" | "body">;

/** A length that was declared is declared anew; the guest's own word for it counts for nothing. */
function fieldsFor(held: HeaderMap, { headers, body }: Changed): Pairs {
  const fields = headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name !== "content-length" && !name.startsWith(":"));
  return held.get("content-length") === undefined ? fields : [...fields, ["content-length", String(body.length)]];
}

const requestLine = ({ method, path, scheme, authority }: WitRequest): Pairs => [
  [":method", method],
  [":path", path],
  [":scheme", scheme],
  [":authority", authority],
];

const statusLine = ({ status }: WitResponse): Pairs => [[":status", String(status)]];

function functionOf<Function>(guest: Guest, name: string, called: string): Function | undefined {
  const exported = guest.exported(`${name}@${version}`);
  if (typeof exported !== "object" || exported === null) return undefined;
  return exportedFunction({ ...exported }, called) as Function;
}
