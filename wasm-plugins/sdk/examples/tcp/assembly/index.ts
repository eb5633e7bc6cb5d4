// Sits on a TCP connection whose protocol is lines: passes whole lines only, shouts what the client says, marks what the
// upstream answers, and ends the connection at the line `quit`.
import { Action, encodeText, Filter, log, PeerType, register } from "@outrigger/plugin";

class Interpreter extends Filter {
  private lines: i32 = 0;

  /** `Pause` keeps the upstream waiting until the first line is there. */
  onNewConnection(): Action {
    return Action.Pause;
  }

  onDownstreamData(size: i32, endOfStream: bool): Action {
    const text = this.downstream.text();
    if (text.startsWith("quit")) {
      this.downstream.close();
      return Action.Pause;
    }
    // What is held is shown again with what came since.
    if (!text.endsWith("\n") && !endOfStream) return Action.Pause;
    this.lines++;
    this.downstream.setText(text.toUpperCase());
    return Action.Continue;
  }

  onUpstreamData(size: i32, endOfStream: bool): Action {
    if (size > 0) this.upstream.prepend(encodeText("it says: "));
    return Action.Continue;
  }

  onDownstreamClose(peer: PeerType): void {
    log.info("the client's end closed, by " + (peer == PeerType.Remote ? "the client" : "us"));
  }

  onUpstreamClose(peer: PeerType): void {
    log.info("the upstream's end closed, by " + (peer == PeerType.Remote ? "the upstream" : "us"));
  }

  onLog(): void {
    log.info("lines: " + this.lines.toString());
  }
}

register<Interpreter>();
