import type { StreamHost } from "../../plugin/contract.ts";
import { PluginError } from "../../plugin/plugin-error.ts";
import { eventOf } from "../outrigger/events.ts";
import { exportedFunction } from "../outrigger/exported-function.ts";
import { answer, headerFromSidecar } from "../outrigger/message.ts";
import { serviceStream } from "../outrigger/service-stream.ts";
import type { ExportedInterface } from "../provider.ts";
import { type BrokerMessage, messagingVersions } from "./messaging-consumer.ts";

/** wasmcloud:messaging/handler: the events of the plugin's subscriptions. One that the guest refuses is tried again. */
export const messagingHandler: ExportedInterface = {
  name: "wasmcloud:messaging/handler",
  versions: messagingVersions,
  functions: ["handle-message"],
  takes: (host, kind) => kind === "service" && headerFromSidecar(host, "x-outrigger-topic") !== undefined,
  open(guest, exported, host, ended) {
    const handleMessage = exportedFunction<BrokerMessage, void>(exported, "handleMessage");
    const serve = async (): Promise<void> => {
      const { topic, data } = eventOf(host);
      const message = { subject: topic, body: data, replyTo: undefined };
      try {
        await guest.call("handle-message", () => handleMessage(message));
        answerWith(host, 204, "");
      } catch (error) {
        if (error instanceof PluginError || typeof error !== "string") throw error;
        answerWith(host, 500, error);
      }
    };
    return serviceStream(guest, host, serve, ended);
  },
};

function answerWith(host: StreamHost, status: number, text: string): void {
  const headers = text === "" ? [] : ([["content-type", "text/plain; charset=utf-8"]] as const);
  answer(host, { status, headers, body: Buffer.from(text) });
}
