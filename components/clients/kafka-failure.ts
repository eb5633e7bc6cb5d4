import { type ErrorCode, RuntimeError } from "../error.ts";
import { codeOf } from "../thrown.ts";

type Meaning = readonly [code: ErrorCode, reason: string, text: string];

const tooLarge: Meaning = ["RESOURCE_EXHAUSTED", "KAFKA_TOO_LARGE", "takes no message of that size"];
const notAllowed: Meaning = ["PERMISSION_DENIED", "KAFKA_NOT_ALLOWED", "does not allow the component to do that"];
const wrongTopicSettings: Meaning = ["FAILED_PRECONDITION", "KAFKA_TOPIC_REFUSED", "refuses to create the topic"];
const refused: Meaning = ["UNAUTHENTICATED", "KAFKA_ACCESS_DENIED", "refuses user and password; correct sasl"];
const wrongCertificate: Meaning = [
  "FAILED_PRECONDITION",
  "KAFKA_TLS_REFUSED",
  "cannot be trusted, or does not trust the component; correct tls",
];

/** By the names that the protocol has for errors. */
const meanings: ReadonlyMap<string, Meaning> = new Map([
  ["MESSAGE_TOO_LARGE", tooLarge],
  ["RECORD_LIST_TOO_LARGE", tooLarge],
  ["TOPIC_AUTHORIZATION_FAILED", notAllowed],
  ["GROUP_AUTHORIZATION_FAILED", notAllowed],
  ["CLUSTER_AUTHORIZATION_FAILED", notAllowed],
  ["UNKNOWN_TOPIC_OR_PARTITION", ["NOT_FOUND", "KAFKA_NO_TOPIC", "has no such topic; create it or set createTopics"]],
  ["INVALID_TOPIC_EXCEPTION", ["INVALID_ARGUMENT", "KAFKA_TOPIC_NAME", "takes nothing from outside for that topic"]],
  ["INVALID_RECORD", ["INVALID_ARGUMENT", "KAFKA_INVALID_RECORD", "refuses the message"]],
  ["INVALID_REPLICATION_FACTOR", wrongTopicSettings],
  ["INVALID_PARTITIONS", wrongTopicSettings],
  ["INVALID_CONFIG", wrongTopicSettings],
  ["POLICY_VIOLATION", wrongTopicSettings],
  ["SASL_AUTHENTICATION_FAILED", refused],
  ["UNSUPPORTED_SASL_MECHANISM", ["FAILED_PRECONDITION", "KAFKA_ACCESS_DENIED", "has no such sasl.mechanism"]],
  ["INVALID_SESSION_TIMEOUT", ["FAILED_PRECONDITION", "KAFKA_SESSION_TIMEOUT", "does not allow that sessionTimeoutMs"]],
]);

/** What a TLS handshake fails with when one side does not trust the other, which does not pass. */
const distrust =
  /CERT|certificate|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|HANDSHAKE_FAILURE|UNKNOWN_CA|wrong version number/i;

/** The error of a request that failed. `lost` says why there is no connection, where that is known. */
export function kafkaFailure(component: string, error: unknown, lost?: string): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const refusal = kafkaRefusal(component, error);
  // Once open, others may still be let in: it is tried again.
  if (refusal !== undefined) return new RuntimeError("UNAVAILABLE", refusal.reason, refusal.message);
  const root = rootOf(error);
  const meaning = meanings.get(typeOf(root));
  if (meaning !== undefined) return failure(component, meaning, root.message);
  const why = isOfClient(root) ? (lost ?? "no broker answers") : root.message;
  return failure(component, ["UNAVAILABLE", "KAFKA_UNREACHABLE", "cannot be reached, or cannot serve now"], why);
}

/** The error of a connection that is refused for good, which trying again does not mend; undefined for any other. */
export function kafkaRefusal(component: string, error: unknown): RuntimeError | undefined {
  const root = rootOf(error);
  const meaning = meanings.get(typeOf(root));
  if (meaning?.[1] === "KAFKA_ACCESS_DENIED") return failure(component, meaning, root.message);
  if (root.name === "KafkaJSSASLAuthenticationError") return failure(component, refused, root.message);
  const isDistrust =
    distrust.test(`${codeOf(root) ?? ""} ${root.message}`) && root.name.startsWith("KafkaJSConnection");
  return isDistrust ? failure(component, wrongCertificate, root.message) : undefined;
}

const failure = (component: string, [code, reason, text]: Meaning, why: string): RuntimeError =>
  new RuntimeError(code, reason, `the Kafka of '${component}' ${text}: ${why}`);

/** The client wraps errors into others, each with the last as its cause. */
function rootOf(error: unknown): Error {
  let root = error instanceof Error ? error : new Error(String(error));
  for (let depth = 0; depth < 10; depth++) {
    const first = "errors" in root && Array.isArray(root.errors) ? root.errors[0] : root.cause;
    if (!(first instanceof Error) || first === root) break;
    root = first;
  }
  return root;
}

/** The name that the protocol has for the error, or nothing. */
export function typeOf(error: unknown): string {
  const root = rootOf(error);
  return "type" in root && typeof root.type === "string" ? root.type : "";
}

/** Slips of the client when it has no broker to ask. */
const isOfClient = ({ name }: Error): boolean => name === "TypeError" || name === "KafkaJSBrokerNotFound";
