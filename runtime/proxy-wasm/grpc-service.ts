/**
 * The cluster or target of a serialized `envoy.config.core.v3.GrpcService`, which plugins made for Envoy pass where an
 * upstream's name is expected: `envoy_grpc.cluster_name` or `google_grpc.target_uri`, both field 1 of fields 1 and 2.
 */
export function grpcServiceTarget(bytes: Uint8Array): string | undefined {
  const service = lengthDelimited(bytes, (field) => field === 1 || field === 2);
  const target = service === undefined ? undefined : lengthDelimited(service, (field) => field === 1);
  return target === undefined ? undefined : Buffer.from(target).toString("utf8");
}

/** The first length-delimited field that is wanted; undefined when there is none or the bytes are no message. */
function lengthDelimited(bytes: Uint8Array, wanted: (field: number) => boolean): Uint8Array | undefined {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 63; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  while (at < bytes.length) {
    const tag = varint();
    const type = tag % 8;
    if (type === 2) {
      const size = varint();
      if (!(at + size <= bytes.length)) return undefined;
      if (wanted(Math.floor(tag / 8))) return bytes.subarray(at, at + size);
      at += size;
    } else if (type === 0) varint();
    else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else return undefined;
  }
  return undefined;
}
