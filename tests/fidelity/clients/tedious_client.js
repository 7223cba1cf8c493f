// Runs sessions with tedious, an implementation of TDS in JavaScript.

const fs = require("fs");
const { Connection, Request } = require("tedious");

const task = JSON.parse(fs.readFileSync(0, "utf8"));

const plain = (value) => (Buffer.isBuffer(value) ? value.toString("hex") : value);

const failure = ({ number, message }) => ({ number, message });

function open(session) {
  return new Promise((resolve, reject) => {
    const connection = new Connection({
      server: task.server.host,
      authentication: {
        type: "default",
        options: { userName: session.user, password: session.password },
      },
      options: {
        port: task.server.port,
        database: session.database,
        encrypt: true,
        cryptoCredentialsDetails: { ca: fs.readFileSync(task.server.authority) },
        connectTimeout: 15000,
      },
    });
    // The error of a failed login has no number. The server's first error has.
    let first;
    connection.on("errorMessage", (error) => (first ??= error));
    // Without a listener, Node.js ends the process.
    connection.on("error", () => {});
    connection.connect((error) => (error ? reject(first ?? error) : resolve(connection)));
  });
}

function ask(connection, batch) {
  return new Promise((resolve) => {
    const rows = [];
    const request = new Request(batch, (error) => resolve(error ? failure(error) : { rows }));
    request.on("row", (columns) =>
      rows.push(columns.map(({ value }) => (plain(value)))),
    );
    connection.execSqlBatch(request);
  });
}

(async () => {
  for (const session of task.sessions) {
    let result;
    try {
      const connection = await open(session);
      const answers = [];
      for (const batch of session.batches) answers.push(await ask(connection, batch));
      connection.close();
      result = { answers };
    } catch (error) {
      result = failure(error);
    }
    console.log(JSON.stringify(result));
  }
})();
