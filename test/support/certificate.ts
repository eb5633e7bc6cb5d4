import { generateKeyPairSync, sign, X509Certificate } from "node:crypto";

/** A key and its certificate, as `node:tls` takes them. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A fresh certificate for localhost and 127.0.0.1, or for localhost alone, that signs itself: who trusts it names it as `ca`. */
export function selfSigned({ forAddress = true }: { readonly forAddress?: boolean } = {}): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = sequence(der(0x31, sequence(objectId(2, 5, 4, 3), der(0x0c, Buffer.from("localhost")))));
  const address = forAddress ? [der(0x87, Buffer.from([127, 0, 0, 1]))] : [];
  const names = sequence(der(0x82, Buffer.from("localhost")), ...address);
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    name,
    sequence(time("20200101000000Z"), time("21200101000000Z")),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(sequence(objectId(2, 5, 29, 17), der(0x04, names)))),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign("sha256", body, privateKey)]);
  const certificate = new X509Certificate(sequence(body, ecdsaWithSha256, der(0x03, signature)));
  return { key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), cert: certificate.toString() };
}

/** A value of ASN.1 in DER: tag, length, content. */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  // The shortest form that holds it, as others insist.
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  const head = length < 128 ? [tag, length] : [tag, ...long];
  return Buffer.concat([Buffer.from(head), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, Buffer.concat(parts));
const time = (text: string): Buffer => der(0x18, Buffer.from(text));

function objectId(first: number, second: number, ...rest: readonly number[]): Buffer {
  const octets = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    octets.push(...groups);
  }
  return der(0x06, Buffer.from(octets));
}

const ecdsaWithSha256 = sequence(objectId(1, 2, 840, 10045, 4, 3, 2));
