import type { Empty } from "../gen/google/protobuf/empty.ts";
import type { MessageShape } from "./message-shape.ts";

export const empty: MessageShape<Empty> = {
  read(reader) {
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) reader.passOver(tag);
    return {};
  },
  write: () => undefined,
};
