import { deflateSync, inflateSync } from "node:zlib";
import { Status } from "../abi.ts";
import { type ForeignFunction, refuse } from "./foreign-function.ts";

/** Fuel for a call, which takes a handle of zlib and its memory, and for one that fails: an error costs more than the work. */
const callCost = 100_000;
const failureCost = 250_000;
/** Fuel for each byte that goes into compress, comes out of uncompress, and goes into it. */
const compressCost = 30;
const producedCost = 4;
const readCost = 2;
/** Most that uncompress gives, in bytes. */
const maxUncompressed = 16 * 1024 ** 2;

/** `compress`: the bytes in the format of zlib (RFC 1950). */
export const compress: ForeignFunction = ({ meter }, argument) => {
  meter.work(callCost + argument.length * compressCost);
  return deflateSync(argument);
};

/** `uncompress`: what those bytes were. It stops where the guest's fuel, or the limit, does. */
export const uncompress: ForeignFunction = ({ meter }, argument) => {
  meter.work(callCost + argument.length * readCost);
  const affordable = Math.floor(meter.left / producedCost) + 1;
  try {
    const bytes = inflateSync(argument, { maxOutputLength: Math.min(affordable, maxUncompressed) });
    meter.work(bytes.length * producedCost);
    return bytes;
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    meter.work(failureCost);
    if (error.code !== "ERR_BUFFER_TOO_LARGE")
      return refuse(Status.SERIALIZATION_FAILURE, "it is not in zlib's format");
    meter.work(Math.min(affordable, maxUncompressed) * producedCost);
    return refuse(Status.INTERNAL_FAILURE, `it is more than ${maxUncompressed} bytes uncompressed`);
  }
};
