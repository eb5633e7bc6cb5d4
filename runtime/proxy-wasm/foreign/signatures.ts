import { createPrivateKey, createPublicKey, type KeyObject, sign as signWith, verify as verifyWith } from "node:crypto";
import { Status } from "../abi.ts";
import { bytesField, readMessage, textField, writeMessage } from "../protobuf.ts";
import { type ForeignFunction, refuse } from "./foreign-function.ts";

const hashes = ["sha1", "sha224", "sha256", "sha384", "sha512"];
const longestKey = 16 * 1024;
const maxModulusBits = 4096;
const maxExponent = 2n ** 32n;
/** Fuel for reading a key, for each byte that is hashed, and for the use of a key of 1024 bits. */
const keyCost = 60_000;
const byteCost = 3;
const verifyCost = 150_000;
const signCost = 100_000;
/** Fuel for the use of a key of a curve, by OpenSSL's name of it; keys of others are refused. */
const curveCosts: ReadonlyMap<string, number> = new Map([
  ["prime256v1", 300_000],
  ["secp224r1", 500_000],
  ["secp256k1", 600_000],
  ["secp384r1", 1_200_000],
  ["secp521r1", 2_500_000],
]);

/**
 * `verify_signature`: whether the signature of a text is that of a key, as Envoy's messages say it
 * (`envoy.source.extensions.common.wasm.VerifySignatureArguments`, and `…Result`): RSA with PKCS #1 padding, or ECDSA.
 */
export const verifySignature: ForeignFunction = ({ meter }, argument) => {
  const fields = readMessage(argument);
  if (fields === undefined) return refuse(Status.BAD_ARGUMENT, "its argument is no message");
  meter.work(keyCost);
  const key = keyOf(bytesField(fields, 2), bytesField(fields, 5), publicKey);
  if (key === undefined)
    return refuse(
      Status.BAD_ARGUMENT,
      "it takes one key, of RSA or of one of the curves P-224, P-256, P-384, P-521 and secp256k1",
    );
  const text = bytesField(fields, 4);
  meter.work(text.length * byteCost + verifyCost + costOf(key, 0));
  const hash = hashOf(textField(fields, 1));
  const error = hash === undefined ? unknownHash(textField(fields, 1)) : "the signature is not that of the key";
  const isGood = hash !== undefined && isOf(hash, key, bytesField(fields, 3), text);
  return writeMessage([
    [1, isGood],
    [2, isGood ? "" : error],
  ]);
};

/** `sign`: the signature of a text (`SignArguments`, `SignResult`). */
export const sign: ForeignFunction = ({ meter }, argument) => {
  const fields = readMessage(argument);
  if (fields === undefined) return refuse(Status.BAD_ARGUMENT, "its argument is no message");
  meter.work(keyCost);
  const key = keyOf(bytesField(fields, 2), bytesField(fields, 4), privateKey);
  if (key === undefined)
    return refuse(
      Status.BAD_ARGUMENT,
      "it takes one key, of RSA or of one of the curves P-224, P-256, P-384, P-521 and secp256k1",
    );
  const text = bytesField(fields, 3);
  meter.work(text.length * byteCost + costOf(key, signCost));
  const hash = hashOf(textField(fields, 1));
  const signature = hash === undefined ? undefined : signatureOf(hash, key, text);
  if (signature === undefined)
    return writeMessage([[3, hash === undefined ? unknownHash(textField(fields, 1)) : "the key cannot sign"]]);
  return writeMessage([
    [1, true],
    [2, signature],
  ]);
};

type ReadKey = (bytes: Buffer, form: "der" | "pem") => KeyObject;

const publicKey: ReadKey = (key, form) =>
  form === "der" ? createPublicKey({ key, format: "der", type: "spki" }) : createPublicKey({ key, format: "pem" });
const privateKey: ReadKey = (key, form) =>
  form === "der" ? createPrivateKey({ key, format: "der", type: "pkcs8" }) : createPrivateKey({ key, format: "pem" });

/** The key that was given in one of both forms, when its use takes a time that is known. */
function keyOf(der: Uint8Array, pem: Uint8Array, read: ReadKey): KeyObject | undefined {
  if (der.length > 0 === pem.length > 0 || der.length + pem.length > longestKey) return undefined;
  try {
    const key = der.length > 0 ? read(Buffer.from(der), "der") : read(Buffer.from(pem), "pem");
    return isUsable(key) ? key : undefined;
  } catch {
    return undefined;
  }
}

function isUsable({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = maxExponent, namedCurve } = asymmetricKeyDetails;
  if (asymmetricKeyType === "ec") return namedCurve !== undefined && curveCosts.has(namedCurve);
  return asymmetricKeyType === "rsa" && modulusLength <= maxModulusBits && publicExponent < maxExponent;
}

function costOf({ asymmetricKeyDetails = {} }: KeyObject, rsaCost: number): number {
  const { modulusLength, namedCurve = "" } = asymmetricKeyDetails;
  if (modulusLength === undefined) return curveCosts.get(namedCurve) ?? 0;
  return Math.ceil((modulusLength / 1024) ** 3 * rsaCost);
}

function hashOf(name: string): string | undefined {
  return hashes.find((hash) => hash === name.toLowerCase());
}

const unknownHash = (name: string): string => `${name.slice(0, 32)} is not supported.`;

function isOf(hash: string, key: KeyObject, signature: Uint8Array, text: Uint8Array): boolean {
  try {
    return verifyWith(hash, text, key, signature);
  } catch {
    return false;
  }
}

function signatureOf(hash: string, key: KeyObject, text: Uint8Array): Uint8Array | undefined {
  try {
    return signWith(hash, text, key);
  } catch {
    return undefined;
  }
}
