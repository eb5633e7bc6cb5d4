import { RuntimeError } from "../error.ts";
import { messageOf } from "../thrown.ts";

/** What is read of an error of grpc-js. The rest of it, metadata above all, stays where it is. */
export interface GrpcError {
  readonly code: number;
  readonly details: string;
}

const grpc = { cancelled: 1, deadlineExceeded: 4, unavailable: 14 } as const;

/** Whether the member of the cluster cannot serve anyone now. */
export const isAway = ({ code, details }: GrpcError): boolean =>
  code === grpc.unavailable ||
  code === grpc.deadlineExceeded ||
  code === grpc.cancelled ||
  details.includes("too many requests");

/** Whether the request certainly never left, so that another member may be asked, whatever the request would do. */
export const isUnsent = ({ code, details }: GrpcError): boolean =>
  code === grpc.unavailable && /^(No connection established|Name resolution failed)/.test(details);

/** Whether the server wants a newer token than the one that came along, or any at all. */
export const wantsToken = (said: string): boolean =>
  /invalid auth token|user name is empty|revision of auth store is old/.test(said);

/** Whether the server has no users, so that it has no tokens to give. */
export const hasNoUsers = (said: string): boolean => said.includes("authentication is not enabled");

/** Refusals that an operator can do something about: how the server says it, and how we do. */
const refusals: readonly (readonly [
  said: RegExp,
  code: RuntimeError["code"],
  reason: string,
  text: (said: string) => string,
])[] = [
  [
    /too many operations in txn/,
    "FAILED_PRECONDITION",
    "ETCD_TRANSACTION_TOO_LARGE",
    () => "takes fewer operations in one transaction; send fewer, or start it with a larger --max-txn-ops",
  ],
  [
    /request is too large|received message larger than max|trying to send message larger than max/,
    "RESOURCE_EXHAUSTED",
    "ETCD_REQUEST_TOO_LARGE",
    () => "takes smaller requests only; send less, or start it with a larger --max-request-bytes",
  ],
  [
    /database space exceeded/,
    "RESOURCE_EXHAUSTED",
    "ETCD_FULL",
    () => "is full; compact and defragment it, or start it with a larger --quota-backend-bytes, and disarm its alarm",
  ],
  [/requested lease not found/, "NOT_FOUND", "ETCD_LEASE_GONE", () => "does not know a lease any more"],
  [
    /revision has been compacted/,
    "UNAVAILABLE",
    "ETCD_COMPACTED",
    () => "was compacted while it was read; read it again",
  ],
  [/user name is empty/, "FAILED_PRECONDITION", "ETCD_ACCESS_DENIED", () => "wants a user; give username and password"],
  [
    /authentication failed|permission denied|invalid auth token|auth(entication)? .*(disabled|not enabled)/,
    "FAILED_PRECONDITION",
    "ETCD_ACCESS_DENIED",
    (said) => `refuses the user of the component; look at its password and at its role: ${said}`,
  ],
];

/** The error of a request that failed. The original does not travel along. */
export function etcdFailure(component: string, error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const { code, details } = grpcErrorOf(error);
  const fail = (status: RuntimeError["code"], reason: string, text: string): RuntimeError =>
    new RuntimeError(status, reason, `the etcd of '${component}' ${text}`);
  for (const [said, status, reason, text] of refusals)
    if (said.test(details)) return fail(status, reason, text(details));
  if (code === grpc.deadlineExceeded) return fail("UNAVAILABLE", "ETCD_UNREACHABLE", "did not answer in time");
  if (isAway({ code, details }))
    return fail("UNAVAILABLE", "ETCD_UNREACHABLE", `cannot be reached: ${reasonIn(details)}`);
  return fail("INTERNAL", "ETCD_FAILED", `answered with an error: ${details}`);
}

/** What went wrong, of all that grpc-js says when it has no connection. */
function reasonIn(details: string): string {
  const [, why = details] =
    /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note: *$/s.exec(details) ?? [];
  return why;
}

/** What an error says of itself, if it is one of grpc-js, and else that it is none. */
export function grpcErrorOf(error: unknown): GrpcError {
  const { code, details } = Object(error);
  if (typeof code === "number" && typeof details === "string") return { code, details };
  return { code: -1, details: messageOf(error) };
}
