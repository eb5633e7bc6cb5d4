import {
  proxy_add_header_map_value,
  proxy_get_header_map_pairs,
  proxy_get_header_map_value,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
  proxy_set_header_map_pairs,
} from "./abi";
import { AbiStatus, MapType } from "./abi-types";
import { decodePairs, encodePairs, Headers } from "./headers";
import { clearReturned, returnPointer, returnSize, takeReturned } from "./memory";
import { decodeBuffer, encodeBuffer } from "./text";

/** The fields of a message that passes through, held by the host: what is changed here goes on changed. */
export class HeaderMap {
  constructor(private readonly map: MapType) {}

  /** The first value of the name, or null; names match whatever their case. */
  get(name: string): string | null {
    const value = this.getBytes(name);
    return value === null ? null : decodeBuffer(value);
  }

  /** The first value of the name, or the fallback. */
  getOr(name: string, fallback: string): string {
    const value = this.get(name);
    return value === null ? fallback : value;
  }

  /** As `get`, as the bytes on the wire. */
  getBytes(name: string): ArrayBuffer | null {
    const key = encodeBuffer(name);
    clearReturned();
    const answer = proxy_get_header_map_value(
      this.map, changetype<usize>(key), key.byteLength, returnPointer, returnSize,
    );
    return answer == AbiStatus.Ok ? takeReturned() : null;
  }

  /** Whether there is a field of that name. */
  has(name: string): bool {
    return this.getBytes(name) !== null;
  }

  /** Replaces every value of the name, or appends the field. False when the map is not there in this phase. */
  set(name: string, value: string): bool {
    const key = encodeBuffer(name);
    const bytes = encodeBuffer(value);
    return proxy_replace_header_map_value(
      this.map, changetype<usize>(key), key.byteLength, changetype<usize>(bytes), bytes.byteLength,
    ) == AbiStatus.Ok;
  }

  /** Appends a field. False when the map is not there in this phase. */
  add(name: string, value: string): bool {
    const key = encodeBuffer(name);
    const bytes = encodeBuffer(value);
    return proxy_add_header_map_value(
      this.map, changetype<usize>(key), key.byteLength, changetype<usize>(bytes), bytes.byteLength,
    ) == AbiStatus.Ok;
  }

  /** Removes every value of the name. False when the map is not there in this phase. */
  remove(name: string): bool {
    const key = encodeBuffer(name);
    return proxy_remove_header_map_value(this.map, changetype<usize>(key), key.byteLength) == AbiStatus.Ok;
  }

  /** A copy of every field, pseudo fields included; empty when the map is not there in this phase. */
  all(): Headers {
    clearReturned();
    const answer = proxy_get_header_map_pairs(this.map, returnPointer, returnSize);
    return answer == AbiStatus.Ok ? decodePairs(takeReturned()) : new Headers();
  }

  /** Replaces every field, pseudo fields included. False when the map is not there in this phase. */
  replaceAll(headers: Headers): bool {
    const pairs = encodePairs(headers);
    return proxy_set_header_map_pairs(this.map, changetype<usize>(pairs), pairs.byteLength) == AbiStatus.Ok;
  }
}
