// Compresses responses for clients that accept it, and uncompresses requests for an application that cannot.
import { Action, Filter, register, zlib } from "@outrigger/plugin";

const format = "deflate";

class Packer extends Filter {
  private packedRequest: bool = false;
  private wanted: bool = false;

  onRequestHeaders(endOfStream: bool): Action {
    const headers = this.request.headers;
    this.wanted = headers.getOr("accept-encoding", "").includes(format);
    this.packedRequest = headers.getOr("content-encoding", "") == format;
    if (this.packedRequest) {
      headers.remove("content-encoding");
      headers.remove("content-length");
    }
    return Action.Continue;
  }

  onRequestBody(size: i32, endOfStream: bool): Action {
    if (!this.packedRequest) return Action.Continue;
    if (!endOfStream) return Action.Pause;
    const unpacked = zlib.uncompress(this.request.body.bytes());
    if (!unpacked.ok) {
      this.respondText(400, unpacked.toString() + "\n", "not_deflate");
      return Action.Pause;
    }
    this.request.body.set(unpacked.value);
    return Action.Continue;
  }

  onResponseHeaders(endOfStream: bool): Action {
    if (endOfStream) this.wanted = false;
    if (!this.wanted) return Action.Continue;
    this.response.headers.set("content-encoding", format);
    this.response.headers.remove("content-length");
    return Action.Continue;
  }

  onResponseBody(size: i32, endOfStream: bool): Action {
    if (!this.wanted) return Action.Continue;
    if (!endOfStream) return Action.Pause;
    const packed = zlib.compress(this.response.body.bytes());
    if (packed.ok) this.response.body.set(packed.value);
    else this.response.close(); // the head promised what cannot be kept
    return Action.Continue;
  }
}

register<Packer>();
