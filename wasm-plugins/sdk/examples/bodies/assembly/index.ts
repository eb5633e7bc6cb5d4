// Changes bodies in both directions, as the request's headers `x-request-body` and `x-response-body` say: `append`, `prepend`,
// `replace`, or `shout`, for which the whole body is needed.
import { Action, Body, encodeText, Filter, Message, register } from "@outrigger/plugin";

class Editor extends Filter {
  private requestEdit: string = "";
  private responseEdit: string = "";
  private begun: bool = false;

  onRequestHeaders(endOfStream: bool): Action {
    this.requestEdit = this.request.headers.getOr("x-request-body", "");
    this.responseEdit = this.request.headers.getOr("x-response-body", "");
    this.willChange(this.request, this.requestEdit);
    return Action.Continue;
  }

  onRequestBody(size: i32, endOfStream: bool): Action {
    return this.change(this.request.body, this.requestEdit, endOfStream);
  }

  onResponseHeaders(endOfStream: bool): Action {
    this.begun = false;
    this.willChange(this.response, this.responseEdit);
    return Action.Continue;
  }

  onResponseBody(size: i32, endOfStream: bool): Action {
    return this.change(this.response.body, this.responseEdit, endOfStream);
  }

  /** A body that is to change has another length than its head says. */
  private willChange(message: Message, edit: string): void {
    if (edit.length > 0) message.headers.remove("content-length");
  }

  private change(body: Body, edit: string, endOfStream: bool): Action {
    // Bodies come in pieces. What goes before the first and after the last needs no other.
    if (edit == "prepend" && !this.begun) body.prepend(encodeText("head:"));
    if (edit == "append" && endOfStream) body.append(encodeText(":tail"));
    this.begun = true;
    if (edit != "replace" && edit != "shout") return Action.Continue;
    // Pause asks for more, and next time everything since then is there.
    if (!endOfStream) return Action.Pause;
    if (edit == "replace") body.setText("short");
    else body.setText(body.text().toUpperCase());
    return Action.Continue;
  }
}

register<Editor>();
