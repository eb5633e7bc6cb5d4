// Answers in place of the application, at the point of the stream that the header `x-answer-at` names.
import { Action, encodeText, Filter, Headers, register, StatusCode } from "@outrigger/plugin";

class Doorman extends Filter {
  private point: string = "";

  onRequestHeaders(endOfStream: bool): Action {
    this.point = this.request.headers.getOr("x-answer-at", "");
    if (this.point == "grpc") {
      // A caller over gRPC gets the status where gRPC looks for it.
      this.respondGrpc(StatusCode.PermissionDenied, "not today", 403);
      return Action.Pause;
    }
    if (this.point == "reset") {
      // No answer at all.
      this.request.close();
      return Action.Pause;
    }
    return this.answer("request-headers");
  }

  onRequestBody(size: i32, endOfStream: bool): Action {
    return this.answer("request-body");
  }

  onResponseHeaders(endOfStream: bool): Action {
    return this.answer("response-headers");
  }

  private answer(here: string): Action {
    if (this.point != here) return Action.Continue;
    this.point = ""; // the answer has a head, too, which comes by here
    // `shut` is for the access log.
    this.respond(429, new Headers().add("retry-after", "5"), encodeText("not now: " + here + "\n"), "shut");
    return Action.Pause;
  }
}

register<Doorman>();
