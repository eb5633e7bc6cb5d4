import { bytesField, readMessage } from "./protobuf.ts";

/**
 * The cluster or target of a serialized `envoy.config.core.v3.GrpcService`, which plugins made for Envoy pass where an
 * upstream's name is expected: `envoy_grpc.cluster_name` or `google_grpc.target_uri`, both field 1 of fields 1 and 2.
 */
export function grpcServiceTarget(bytes: Uint8Array): string | undefined {
  const fields = readMessage(bytes) ?? [];
  for (const number of [1, 2]) {
    const target = bytesField(readMessage(bytesField(fields, number)) ?? [], 1);
    if (target.length > 0) return Buffer.from(target).toString("utf8");
  }
  return undefined;
}
