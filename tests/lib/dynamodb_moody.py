# SPDX-License-Identifier: Apache-2.0
"""dynamodb_moody.py - between an engine and dynalite: what a real DynamoDB does now and then and
dynalite never, and what networks do to it.

    with Moody() as dynamodb:      as in dynamodb_server.py; url() leads to it, call() past it
        dynamodb.count             of each mood, how often it came
        dynamodb.calm = True       no more of them

One request in ten gets a mood; of those that have several items, every third is done in part. It
forwards to dynalite before what may happen after the deed, and not before what refuses it. Requests
that break off reach it never: it would end itself.
"""
import http.client
import http.server
import json
import random
import threading

from dynamodb_server import DynamoDB

RATE = 0.1
RATE_PARTS = 0.3
THROTTLED = {'__type': 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException',
             'message': 'The level of configured provisioned throughput was exceeded.'}
EXPIRED = {'__type': 'com.amazon.coral.service#ExpiredTokenException',
           'message': 'The security token included in the request is expired'}
FAILED = {'__type': 'com.amazon.coral.service#InternalServerError', 'message': 'inside'}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.behind = http.client.HTTPConnection('127.0.0.1', self.server.moody.port, timeout=30)

    def finish(self):
        self.behind.close()
        super().finish()

    def log_message(self, *_):
        pass

    def do_POST(self):
        length = int(self.headers['Content-Length'])
        body = self.rfile.read(length)
        if len(body) < length:  # dynalite would end itself
            self.close_connection = True
            return
        action = self.headers['X-Amz-Target'].rsplit('.', 1)[1]
        mood = self.server.moody.draw(action, body)
        try:
            MOODS.get(mood, Handler.plain)(self, body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    def forward(self, body):
        """What dynalite says: status, checksum, body."""
        keep = ('X-Amz-Target', 'X-Amz-Date', 'Content-Type', 'Authorization')
        self.behind.request('POST', '/', body, {name: self.headers[name] for name in keep})
        answer = self.behind.getresponse()
        return answer.status, answer.getheader('x-amz-crc32'), answer.read()

    def answer(self, status, checksum, body, length=None):
        self.send_response(status)
        if checksum is not None:
            self.send_header('x-amz-crc32', checksum)
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def plain(self, body):
        self.answer(*self.forward(body))

    def throttled(self, _body):
        self.answer(400, None, json.dumps(THROTTLED).encode())

    def expired(self, _body):
        self.answer(400, None, json.dumps(EXPIRED).encode())

    def failed(self, _body):
        self.answer(500, None, json.dumps(FAILED).encode())

    def failed_behind(self, body):
        self.forward(body)
        self.answer(502, None, b'<html>Bad Gateway</html>')

    def lost(self, body):
        self.forward(body)
        self.close_connection = True

    def half(self, body):
        status, checksum, whole = self.forward(body)
        self.answer(status, checksum, whole[:len(whole) // 2], len(whole) + 1)
        self.close_connection = True

    def cut_short(self, body):
        status, _, whole = self.forward(body)
        self.answer(status, None, whole[:-1])

    def wrong_checksum(self, body):
        status, checksum, whole = self.forward(body)
        self.answer(status, str(int(checksum) ^ 1), whole)

    def garbage(self, body):
        self.forward(body)
        self.answer(200, None, b'<html>' + random.randbytes(200))

    def in_parts(self, body):
        """Half of the items, picked at random; the rest is said to be left."""
        asked = json.loads(body)
        (table, items), = asked['RequestItems'].items()
        several = items if isinstance(items, list) else items['Keys']
        random.shuffle(several)
        left = several[len(several) // 2:]
        del several[len(several) // 2:]
        status, _, said = self.forward(json.dumps(asked).encode())
        if status == 200:
            said = json.loads(said)
            if isinstance(items, list):
                said['UnprocessedItems'].setdefault(table, []).extend(left)
            else:
                said['UnprocessedKeys'].setdefault(table, {'Keys': []})['Keys'].extend(left)
            said = json.dumps(said).encode()
        self.answer(status, None, said)


MOODS = {name: getattr(Handler, name) for name in (
    'throttled', 'expired', 'failed', 'failed_behind', 'lost', 'half', 'cut_short',
    'wrong_checksum', 'garbage', 'in_parts')}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients go away; what else goes wrong they notice."""


class Moody(DynamoDB):
    def __init__(self, calm=False, **keys):
        super().__init__(**keys)
        self.count = dict.fromkeys(MOODS, 0)
        self.calm = calm
        self.random = random.Random()
        self.lock = threading.Lock()
        self.server = Server(('127.0.0.1', 0), Handler)
        self.server.moody = self
        self.url_port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def draw(self, action, body):
        """The mood for a request, or None."""
        several = action.startswith('Batch') and (body.count(b'"l":') > 1)
        with self.lock:
            mood = None
            if self.calm or action not in ('PutItem', 'GetItem', 'Query', 'BatchWriteItem',
                                           'BatchGetItem'):
                return None
            if several and self.random.random() < RATE_PARTS:
                mood = 'in_parts'
            elif self.random.random() < RATE:
                mood = self.random.choice([name for name in MOODS if name != 'in_parts'])
            if mood:
                self.count[mood] += 1
            return mood

    def __exit__(self, kind, *_):
        super().__exit__()
        never = [mood for mood, count in self.count.items() if count == 0]
        if kind is None and never and not self.calm:
            raise RuntimeError(f'these moods never came: {never}')

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        super().close()
