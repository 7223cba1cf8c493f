// Runs sessions with node-oracledb in its thin mode, Oracle's implementation in JavaScript. It
// trusts the certificates in NODE_EXTRA_CA_CERTS.

const fs = require("fs");
const oracledb = require("oracledb");

const task = JSON.parse(fs.readFileSync(0, "utf8"));

const failure = ({ errorNum, message }) => ({ number: errorNum, message });

async function run(session) {
  let connection;
  try {
    connection = await oracledb.getConnection({
      user: session.user,
      password: session.password,
      connectString: `tcps://${task.server.host}:${task.server.port}/${session.database}`,
      connectTimeout: 15,
    });
  } catch (error) {
    return failure(error);
  }
  const answers = [];
  for (const batch of session.batches) {
    try {
      answers.push({ rows: (await connection.execute(batch)).rows ?? [] });
    } catch (error) {
      answers.push(failure(error));
    }
  }
  await connection.close();
  return { answers };
}

(async () => {
  for (const session of task.sessions) console.log(JSON.stringify(await run(session)));
})();
