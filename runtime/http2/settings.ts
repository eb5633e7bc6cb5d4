import { ConnectionError, errorCode } from "./error-code.ts";
import {
  frameFlag,
  frameType,
  largestMaxFrameBytes,
  largestWindow,
  readUint32,
  smallestMaxFrameBytes,
} from "./frame.ts";
import type { FrameWriter } from "./frame-writer.ts";

/** The settings of RFC 9113, section 6.5.2, by their identifiers. */
export const setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

const settingBytes = 6;

export function writeSettings(writer: FrameWriter, settings: readonly (readonly [id: number, value: number])[]): void {
  writer.frame(settings.length * settingBytes, frameType.SETTINGS, 0, 0);
  for (const [id, value] of settings) {
    writer.uint16(id);
    writer.uint32(value);
  }
}

export const acknowledgeSettings = (writer: FrameWriter): void => writer.frame(0, frameType.SETTINGS, frameFlag.ACK, 0);

/** Hands every setting of a frame's payload to `apply`, in order; unknown ones too. Throws ConnectionError for wrong values. */
export function readSettings(
  bytes: Buffer,
  start: number,
  end: number,
  apply: (id: number, value: number) => void,
): void {
  if ((end - start) % settingBytes !== 0) {
    throw new ConnectionError(errorCode.FRAME_SIZE_ERROR, "the length of SETTINGS is not a multiple of 6");
  }
  for (let at = start; at < end; at += settingBytes) {
    const id = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const value = readUint32(bytes, at + 2);
    checkSetting(id, value);
    apply(id, value);
  }
}

function checkSetting(id: number, value: number): void {
  if (id === setting.ENABLE_PUSH && value > 1) {
    throw new ConnectionError(errorCode.PROTOCOL_ERROR, `SETTINGS_ENABLE_PUSH is ${value}; 0 or 1 is allowed`);
  }
  if (id === setting.INITIAL_WINDOW_SIZE && value > largestWindow) {
    throw new ConnectionError(errorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is above 2^31-1");
  }
  if (id === setting.MAX_FRAME_SIZE && (value < smallestMaxFrameBytes || value > largestMaxFrameBytes)) {
    throw new ConnectionError(errorCode.PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE is not from 16384 to 16777215");
  }
}
