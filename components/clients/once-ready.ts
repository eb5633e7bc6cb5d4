/** The connection once it can be used; one that cannot be is closed before this rejects. */
export async function onceReady<Connection extends AsyncDisposable>(
  connection: Connection,
  ready: Promise<void>,
): Promise<Connection> {
  try {
    await ready;
    return connection;
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}
