/** How an event and a tick are told to a service, and what its answer means. */
import type { ReceivedMessage } from "../components/pubsub/pubsub.ts";
import type { EventOutcome } from "./api/pubsub-delivery.ts";
import type { PluginUse } from "./plugin/contract.ts";
import { dataText, pathOfEvents, pathOfTicks, type Schedule, type Subscription } from "./plugin/declarations.ts";
import { type PluginAnswer, postToPlugin } from "./proxy/plugin-request.ts";
import type { Log } from "./telemetry/log.ts";

/** Whom something is told, and on whose behalf. */
export interface Recipient {
  readonly use: PluginUse;
  readonly appId: string;
  readonly log: Log;
}

const quotedCharacters = 256;

/**
 * Posts the message as the broker gave it. 2xx is `success` unless the body says otherwise, as Dapr reads it; 404 is `drop`.
 * Rejects, which means `retry`, with a sentence on anything else.
 */
export async function deliverEvent(
  { use, appId, log }: Recipient,
  subscription: Subscription,
  message: ReceivedMessage,
  signal: AbortSignal,
): Promise<EventOutcome> {
  const path = pathOfEvents(subscription);
  const { pubsub, topic, timeout: timeoutMs } = subscription;
  const headers = [
    ["content-type", fieldValue(message.contentType) ?? "application/octet-stream"],
    ["x-outrigger-pubsub", pubsub],
    ["x-outrigger-topic", encodeURIComponent(topic)],
  ] as const;
  const request = { path, headers, body: message.data };
  const answer = await postToPlugin(use, request, { authority: appId, timeoutMs, signal, log });
  const { status } = answer;
  if (status === 404) {
    log.warn({ plugin: use.plugin, pubsub, topic, id: message.id }, `${said(use, path, answer)}; the event is dropped`);
    return "drop";
  }
  requireTaken(use, path, answer);
  return outcomeIn(answer, use, path);
}

/** Posts a tick that was due at that moment. Rejects with a sentence unless the answer is 2xx. */
export async function deliverTick(
  { use, appId, log }: Recipient,
  schedule: Schedule,
  dueMs: number,
  signal: AbortSignal,
): Promise<void> {
  const path = pathOfTicks(schedule);
  const text = dataText(schedule.data);
  const type = typeof schedule.data === "string" ? "text/plain; charset=utf-8" : "application/json";
  const headers = [
    ...(text === undefined ? [] : [["content-type", type] as const]),
    ["x-outrigger-schedule", schedule.name] as const,
    ["x-outrigger-scheduled-time", new Date(dueMs).toISOString()] as const,
  ];
  const request = { path, headers, body: new TextEncoder().encode(text) };
  const answer = await postToPlugin(use, request, { authority: appId, timeoutMs: schedule.timeout, signal, log });
  requireTaken(use, path, answer);
}

function requireTaken(use: PluginUse, path: string, answer: PluginAnswer): void {
  const isGood = answer.status >= 200 && answer.status <= 299;
  if (answer.failure !== undefined && (answer.isBlank || !isGood)) throw new Error(answer.failure);
  if (answer.isBlank) {
    throw new Error(
      `plugin '${use.plugin}' let POST ${path} pass without an answer; send a local response, or pause and send one later`,
    );
  }
  if (!isGood) throw new Error(said(use, path, answer));
}

/** The `status` of a body of JSON; anything that is none means success. */
function outcomeIn(answer: PluginAnswer, use: PluginUse, path: string): EventOutcome {
  const status = statusIn(answer.body);
  switch (status) {
    case undefined:
    case "":
    case "SUCCESS":
      return "success";
    case "RETRY":
      return "retry";
    case "DROP":
      return "drop";
    default:
      throw new Error(`${said(use, path, answer)}; expected a status of SUCCESS, RETRY or DROP`);
  }
}

function statusIn(body: Uint8Array): string | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body));
    if (typeof value !== "object" || value === null || !("status" in value)) return undefined;
    return String(value.status);
  } catch {
    return undefined;
  }
}

function said({ plugin }: PluginUse, path: string, { status, body }: PluginAnswer): string {
  const text = new TextDecoder()
    .decode(body.subarray(0, quotedCharacters))
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim();
  return `plugin '${plugin}' answered POST ${path} with ${status}${text === "" ? "" : `: ${text}`}`;
}

/** The text, when it can be the value of a header. */
const fieldValue = (text: string): string | undefined => (/^[\x21-\x7e][\x20-\x7e]*$/.test(text) ? text : undefined);
