import { callForeignFunction } from "./foreign";
import { failure, Result, StatusCode, success } from "./status";
import { decodeText, encodeText } from "./text";

/**
 * An expression of CEL (https://cel.dev) over the properties of the stream, such as `request.headers["x-user"] == "ada"`. Make it
 * once, in `onConfigure`, and evaluate it in callbacks of streams.
 */
export class Expression {
  private constructor(private readonly token: Uint8Array) {}

  /** Reads an expression. INVALID_ARGUMENT when it is none or too large, and the message says why; INTERNAL beyond 256 of them. */
  static create(text: string): Result<Expression> {
    const answer = callForeignFunction("expr_create", encodeText(text));
    if (!answer.ok) return failure<Expression>(answer.code, answer.message);
    return success(new Expression(answer.value));
  }

  /** The value, in bytes as properties have them. INTERNAL when it cannot be found, as that of a header that is not there. */
  bytes(): Result<Uint8Array> {
    return callForeignFunction("expr_evaluate", this.token);
  }

  /** The value of a condition. INTERNAL as for `bytes`, and when it is no truth value. */
  boolean(): Result<bool> {
    const value = this.bytes();
    if (!value.ok) return failure<bool>(value.code, value.message);
    if (value.value.length != 1) return failure<bool>(StatusCode.Internal, "the expression is not a truth value");
    return success<bool>(value.value[0] != 0);
  }

  /** The value of a text. INTERNAL as for `bytes`. */
  text(): Result<string> {
    const value = this.bytes();
    return value.ok ? success(decodeText(value.value)) : failure<string>(value.code, value.message);
  }

  /** The value of an integer, a time or a duration (nanoseconds). INTERNAL as for `bytes`, and when it is nothing of 8 bytes. */
  integer(): Result<i64> {
    const value = this.bytes();
    if (!value.ok) return failure<i64>(value.code, value.message);
    if (value.value.length != 8) return failure<i64>(StatusCode.Internal, "the expression is not an integer");
    return success<i64>(load<i64>(value.value.dataStart));
  }

  /** The value of a floating point number. INTERNAL as for `integer`. */
  number(): Result<f64> {
    const value = this.integer();
    return value.ok ? success<f64>(reinterpret<f64>(value.value)) : failure<f64>(value.code, value.message);
  }

  /** Forgets it; evaluating it afterwards is NOT_FOUND. */
  delete(): void {
    callForeignFunction("expr_delete", this.token);
  }
}
