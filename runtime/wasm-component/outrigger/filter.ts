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

/** A step in a filter chain. A guest that sees responses keeps its instance from the request to the end of the response. */
function filterStream(guest: Guest, host: StreamHost, ended: () => void): StreamFilter {
  const onRequest = functionOf<(request: WitRequest) => Decision | Promise<Decision>>(guest, requests, "onRequest");
  const onResponse = functionOf<OnResponse>(guest, responses, "onResponse");
  let isOver = false;
  let isBusy = false;
  let isGone = false;
  let asked: WitRequest | undefined;
  const over = (): void => {
    if (isOver) return;
    isOver = true;
    ended();
  };
  const run = async (work: () => Promise<"goes on" | "done">): Promise<void> => {
    isBusy = true;
    let outcome: "goes on" | "done" = "done";
    try {
      outcome = await work();
    } catch (error) {
      failStream(guest, host, error);
    } finally {
      isBusy = false;
      if (outcome === "done" || isGone) over();
    }
  };

  const decide = async (): Promise<"goes on" | "done"> => {
    const decision: Decision =
      onRequest === undefined ? { tag: "pass" } : await guest.call("on-request", () => onRequest(requestOf(host)));
    if (decision.tag === "respond") {
      host.respond(replyOf(validResponse(guest, host, decision.val)));
      return "done";
    }
    if (decision.tag === "forward" && !change(guest, host, "request", requestLine(decision.val), decision.val))
      return "done";
    if (onResponse !== undefined) asked = { ...requestOf(host), body: noBytes };
    host.resume("request");
    return onResponse === undefined ? "done" : "goes on";
  };

  const judge = async (): Promise<"goes on" | "done"> => {
    const request = asked;
    if (onResponse === undefined || request === undefined) {
      host.resume("response");
      return "done";
    }
    const verdict = await guest.call("on-response", () => onResponse(request, responseOf(host)));
    if (verdict.tag === "replace") {
      const response = validResponse(guest, host, verdict.val);
      if (!change(guest, host, "response", statusLine(response), response)) return "done";
    }
    host.resume("response");
    return "done";
  };

  return new WholeStream({
    request: () => void run(decide),
    ...(onResponse === undefined ? {} : { response: () => void run(judge) }),
    end() {
      isGone = true;
      if (isBusy) guest.unwanted("deadline");
      else over();
    },
  });
}

/** Puts the message in the place of the one that is held; false when it cannot be, which the stream was told. */
function change(guest: Guest, host: StreamHost, direction: Direction, line: Pairs, message: Changed): boolean {
  const headers = host.headers(`${direction}-headers`);
  const body = host.body(direction);
  if (headers === undefined) return false;
  if (body === undefined && message.body.length > 0) {
    const { name, version } = guest.host.program;
    const what = `plugin '${name}' ${version} gave a body to a ${direction} that had none`;
    host.failed(new PluginError(name, version, "trap", what));
    return false;
  }
  headers.replaceAll([...line, ...fieldsFor(headers, message)]);
  body?.splice(0, body.length, message.body);
  return true;
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
