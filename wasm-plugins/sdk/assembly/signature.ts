import { callForeignFunction } from "./foreign";
import { decode, ProtoMessage, ProtoReader, ProtoWriter } from "./protobuf";
import { failure, Result, Status, StatusCode, success } from "./status";
import { encodeText } from "./text";

/** A key of RSA (signatures with PKCS #1 padding) or of P-224, P-256, P-384, P-521 or secp256k1 (ECDSA): public to verify, private to sign. */
export class Key {
  private constructor(
    readonly bytes: Uint8Array,
    readonly isPem: bool,
  ) {}

  /** A key as text, with the lines `-----BEGIN … KEY-----` and `-----END … KEY-----`. */
  static pem(text: string): Key {
    return new Key(encodeText(text), true);
  }

  /** A key as bytes: SPKI when it is public, PKCS #8 when it is private. */
  static der(bytes: Uint8Array): Key {
    return new Key(bytes, false);
  }
}

/** Signatures, made and checked by the host. A hash is "sha1", "sha224", "sha256", "sha384" or "sha512". */
export namespace signature {
  /**
   * Whether the signature of the text is that of the key. OK when it is; UNAUTHENTICATED when it is not, or the hash is none of
   * the above, and the message says which; INVALID_ARGUMENT when the key is none.
   */
  export function verify(hash: string, key: Key, text: Uint8Array, signed: Uint8Array): Status {
    const argument = new ProtoWriter();
    argument.stringField(1, hash);
    argument.blobField(key.isPem ? 5 : 2, key.bytes);
    argument.blobField(3, signed);
    argument.blobField(4, text);
    const answer = callForeignFunction("verify_signature", argument.finish());
    if (!answer.ok) return answer;
    const result = decode<VerifyResult>(answer.value);
    if (!result.ok) return result;
    return new Status(result.value.good ? StatusCode.Ok : StatusCode.Unauthenticated, result.value.error);
  }

  /** The signature of the text. INVALID_ARGUMENT when the hash or the key is none, or the key cannot sign. */
  export function sign(hash: string, key: Key, text: Uint8Array): Result<Uint8Array> {
    const argument = new ProtoWriter();
    argument.stringField(1, hash);
    argument.blobField(key.isPem ? 4 : 2, key.bytes);
    argument.blobField(3, text);
    const answer = callForeignFunction("sign", argument.finish());
    if (!answer.ok) return answer;
    const result = decode<SignResult>(answer.value);
    if (!result.ok) return failure<Uint8Array>(result.code, result.message);
    if (!result.value.good) return failure<Uint8Array>(StatusCode.InvalidArgument, result.value.error);
    return success(result.value.signature);
  }
}

/** `envoy.source.extensions.common.wasm.VerifySignatureResult` */
class VerifyResult extends ProtoMessage {
  good: bool = false;
  error: string = "";

  write(writer: ProtoWriter): void {}

  read(reader: ProtoReader): void {
    while (reader.more()) {
      const tag = <u32>reader.varint();
      if (tag == 8) this.good = reader.varint() != 0;
      else if (tag == 18) this.error = reader.string();
      else reader.skip(tag);
    }
  }
}

/** `envoy.source.extensions.common.wasm.SignResult` */
class SignResult extends ProtoMessage {
  good: bool = false;
  signature: Uint8Array = new Uint8Array(0);
  error: string = "";

  write(writer: ProtoWriter): void {}

  read(reader: ProtoReader): void {
    while (reader.more()) {
      const tag = <u32>reader.varint();
      if (tag == 8) this.good = reader.varint() != 0;
      else if (tag == 18) this.signature = reader.blob();
      else if (tag == 26) this.error = reader.string();
      else reader.skip(tag);
    }
  }
}
