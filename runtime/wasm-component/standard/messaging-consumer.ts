import { payForBytes } from "../charge.ts";
import { witError } from "../outrigger/wit-error.ts";
import type { GuestHost, ImportedInterface } from "../provider.ts";

export interface BrokerMessage {
  readonly subject: string;
  readonly body: Uint8Array;
  readonly replyTo?: string | undefined;
}

export const messagingVersions = ["0.2.0"];

const noReplies =
  "nothing carries replies here: topics belong to brokers of many kinds; publish an event, or call the service over HTTP";

/** wasmcloud:messaging/consumer: events go out raw. */
const consumer: ImportedInterface = {
  name: "wasmcloud:messaging/consumer",
  versions: messagingVersions,
  waiting: ["publish"],
  make: (host) => ({
    async publish({ subject, body, replyTo }: BrokerMessage) {
      payForBytes(host, subject.length + body.length);
      if (replyTo !== undefined) throw `the event to '${subject}' asks for a reply to '${replyTo}', but ${noReplies}`;
      const publication = { ...placeOf(host, subject), data: body, contentType: "", metadata: {}, isRaw: true };
      await host.services.api.pubsub.publish(publication, host.signal).catch(throwText);
    },

    request(subject: string) {
      payForBytes(host, subject.length);
      throw `there can be no request to '${subject}': ${noReplies}`;
    },
  }),
};

function throwText(error: unknown): never {
  throw witError(error).val;
}

/** A topic of the first component that was granted, unless what is before the first slash names one. */
function placeOf(
  { program, services }: GuestHost,
  subject: string,
): { readonly pubsub: string; readonly topic: string } {
  const granted = services.api.granted("pubsub");
  const slash = subject.indexOf("/");
  const named = slash > 0 ? subject.slice(0, slash) : undefined;
  if (named !== undefined && granted.includes(named)) return { pubsub: named, topic: subject.slice(slash + 1) };
  const [first] = granted;
  if (first !== undefined) return { pubsub: first, topic: subject };
  throw `plugin '${program.name}' was granted no pub/sub component to publish to '${subject}' with; let its manifest ask for one under capabilities.pubsub, and grant it under plugins.grants.${program.name}.pubsub`;
}

export const messagingImports: readonly ImportedInterface[] = [
  { name: "wasmcloud:messaging/types", versions: messagingVersions, waiting: [], make: () => ({}) },
  consumer,
];
