import { bytes, choice, count, duration, flag, list, optionalPort, optionalText, text } from './option.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** Longest retention that can be asked for, in days: a century. */
const CENTURY_DAYS = 36_500;

/** Every option of the hub but the protocol limits (`limit-options.ts`): the only place where its default stands. */
export const OPTIONS = {
  // Where it listens, and where it keeps things.
  host: text(
    '0.0.0.0',
    'address to listen on',
    'devices come from elsewhere; with allowAnonymous the default is 127.0.0.1, so that an open hub is never reachable by accident',
  ),
  port: count(
    '',
    8080,
    [0, 65_535],
    'TCP port for WebSocket and HTTP alike; 0 takes a free one',
    'needs no privileges',
  ),
  data: text(
    './data',
    'folder of the database, made when missing',
    'one folder to back up, seen from where the hub is started',
  ),
  paths: list(
    ['/', '/mqtt', '/stomp', '/ws', '/cbor', '/device'],
    'URL paths that take WebSocket upgrades',
    'what client libraries use unasked; the path never decides the protocol, the negotiation does',
  ),
  tlsCert: optionalText(
    'PEM file with the certificate chain; makes it wss and https (with tlsKey)',
    'off: TLS is often ended by a proxy in front',
  ),
  tlsKey: optionalText('PEM file with the private key of tlsCert', 'goes with tlsCert'),
  tlsReloadMs: duration(
    5 * SECOND,
    50,
    'how often tlsCert and tlsKey are looked at; changed ones are taken without closing a connection',
    'soon enough for a renewal, and two looks at a file cost nothing',
  ),
  mqttPort: optionalPort(
    'TCP port for MQTT without WebSocket (mqtt://), besides the one port; 0 takes a free one',
    'off: the one port serves every protocol; this is for clients that cannot speak WebSocket',
  ),
  mqttsPort: optionalPort(
    'TCP port for MQTT over TLS without WebSocket (mqtts://); uses tlsCert and tlsKey; 0 takes a free one',
    'off, as mqttPort',
  ),
  stompPort: optionalPort(
    'TCP port for STOMP without WebSocket (stomp://), besides the one port; 0 takes a free one',
    'off, as mqttPort',
  ),
  stompsPort: optionalPort(
    'TCP port for STOMP over TLS without WebSocket (stomps://); uses tlsCert and tlsKey; 0 takes a free one',
    'off, as mqttPort',
  ),
  trustedProxies: list(
    [],
    'addresses and networks (10.0.0.0/8) of proxies in front: their X-Forwarded-For tells the client’s address',
    'empty: anybody can write that header',
  ),
  proxyProtocol: flag(
    'expect a PROXY protocol version 2 header from trustedProxies on the ports without WebSocket (mqttPort, stompPort, …)',
    'off: a proxy must be told to send it',
  ),
  maxDevices: count(
    'devices',
    100_000,
    [1, 10_000_000],
    'most devices that can be registered',
    'each costs memory; above this, one process is not enough',
  ),

  // Who may connect.
  allowAnonymous: flag(
    'let anybody connect without credentials and use every topic; for trials and public test suites',
    'off: a hub that accepts everybody must be asked for',
  ),
  maxAnonymousDevices: count(
    'devices',
    10_000,
    [0, 10_000_000],
    'most devices that may register by themselves in anonymous mode',
    'a stranger must not be able to fill the device table',
  ),
  denySubscribe: list(
    [],
    'filters that anonymous clients may not subscribe to, nor to anything narrower',
    'empty: in anonymous mode everything is open',
  ),
  devicePublish: list(
    [],
    'topics that a device may publish on besides its own tree, as MQTT filters; {id} stands for its id',
    'empty: a device that was broken into reaches nobody but itself',
  ),
  deviceSubscribe: list(
    [],
    'filters that a device may subscribe to besides its own tree; {id} stands for its id',
    'empty, as devicePublish',
  ),
  allowedOrigins: list(
    [],
    'Origin values of browsers that may connect, besides pages of the hub itself; * allows all',
    'empty: clients that are no browsers send no Origin and pass, pages of other sites are refused',
  ),
  enableEcho: flag(
    'serve v1.echo.muster, which returns every message; for checking what proxies do to frames',
    'off: an echo for everybody is a way to load the hub',
  ),
  echoMaxMessageBytes: bytes(
    16 * MIB,
    KIB,
    'largest message that v1.echo.muster returns',
    'public WebSocket test suites send messages of 16 MiB',
  ),

  // Operators.
  signInSessionMs: duration(
    12 * HOUR,
    SECOND,
    'how long an operator stays signed in',
    'a shift; a browser that was left open is of no use the next day',
  ),
  apiRequestsPerMinute: count(
    'requests',
    6000,
    [1, 10_000_000],
    'most API requests a minute of one caller; further ones get 429 with Retry-After',
    'a hundred a second serve any dashboard or script; a loop that has run wild cannot crowd out the others',
  ),
  liveViewers: count(
    'viewers',
    100,
    [0, 10_000],
    'most live feeds (`/api/v1/live`) that are open at once; further ones get 429',
    'each holds a socket and the list of what it has not yet been told',
  ),

  // Connections.
  maxConnections: count(
    'connections',
    20_000,
    [1, 1_000_000],
    'most open connections; further ones get 503 with Retry-After',
    'about 16 KB each when idle; raise the limit of open files with it',
  ),
  maxConnectionsPerAddress: count(
    'connections',
    10_000,
    [1, 1_000_000],
    'most open connections from one address; further ones get 429 with Retry-After',
    'whole sites stand behind one address (NAT), so only a flood is stopped',
  ),
  maxUnidentified: count(
    'connections',
    1000,
    [1, 1_000_000],
    'most connections that have not said who they are',
    'each may hold limits.maxUnidentifiedBytes of a stranger; a fleet that reconnects at once still gets in',
  ),
  identifyTimeoutMs: duration(
    10 * SECOND,
    100,
    'how long a client may take to identify itself',
    'a slow mobile link with TLS needs a few seconds',
  ),
  maxWebSocketMessageBytes: bytes(
    MIB,
    KIB,
    'largest WebSocket message, which may hold several protocol messages',
    'room for four messages of limits.maxMessageBytes, far below the 100 MiB that ws would take',
  ),
  perMessageDeflate: flag(
    'agree to compression when a client offers it',
    'off: it costs up to 300 KB of memory a connection, and messages are small',
  ),
  refusedHandshakesKept: count(
    'handshakes',
    200,
    [0, 100_000],
    'refused handshakes that are kept for operators to see',
    'enough to find a misconfigured device, small enough that a flood costs nothing',
  ),

  // Liveness.
  pingIntervalMs: duration(
    25 * SECOND,
    SECOND,
    'how often a silent connection is pinged',
    'below the 30 to 60 s after which proxies and mobile networks forget a silent connection',
  ),
  pongTimeoutMs: duration(
    10 * SECOND,
    100,
    'how long the pong, or any other byte, may take',
    'generous for mobile networks',
  ),
  idleTimeoutMs: duration(
    HOUR,
    0,
    'closes a session that agreed on neither keep-alive nor heart-beats and sends nothing for so long; 0 never does',
    'a dead application may have a library that answers pings; an hour spares devices that report seldom',
  ),

  httpGraceMs: duration(
    30 * SECOND,
    SECOND,
    'how long a device that polls over HTTP counts as connected after its last poll',
    'a device that acts on a command and asks again stays online; one that has gone is offline soon',
  ),

  // Backpressure.
  pauseLimitMs: duration(
    MINUTE,
    100,
    'longest time that a socket is not read before it is closed as overloaded',
    'long enough for a slow disk to recover, short enough that a device tries another way',
  ),
  maxMessagesPerSecond: count(
    'messages',
    0,
    [0, 1_000_000],
    'messages a second of one connection, above which it is read more slowly, and of one device over HTTP, above which it gets 429; 0: no limit',
    "off: nothing is lost or refused by a limit, but what a device may send is the fleet owner's to say",
  ),
  outboxHighWaterBytes: bytes(
    64 * KIB,
    KIB,
    'bytes that wait for one connection from which on it counts as congested',
    'one full socket buffer; QoS 0 messages are dropped and counted above it',
  ),
  outboxLowWaterBytes: bytes(
    16 * KIB,
    0,
    'bytes that wait for one connection below which it is written to again',
    'a quarter of the high-water mark keeps it from flapping',
  ),
  outboxMaxBytes: bytes(
    MIB,
    4 * KIB,
    'bytes that may wait for one connection before it is closed as a slow consumer',
    'bounds memory: 20,000 slow readers cannot take more than 20 GB, and no single one more than this',
  ),
  slowConsumerTimeoutMs: duration(
    30 * SECOND,
    100,
    'how long a connection may stay congested before it is closed',
    'a weak network recovers within seconds, a stuck reader never does',
  ),
  backlogHighRows: count(
    'rows',
    200_000,
    [1, 100_000_000],
    'readings that wait for their commit from which on sockets are paused',
    'under half a second of work at full speed',
  ),
  backlogLowRows: count(
    'rows',
    50_000,
    [0, 100_000_000],
    'readings that wait for their commit below which reading goes on',
    'a quarter of backlogHighRows keeps it from flapping',
  ),
  backlogHighBytes: bytes(
    64 * MIB,
    64 * KIB,
    'bytes that wait for their commit from which on sockets are paused',
    'string values and rejected payloads are larger than numbers',
  ),
  backlogLowBytes: bytes(
    16 * MIB,
    0,
    'bytes that wait for their commit below which reading goes on',
    'a quarter of backlogHighBytes keeps it from flapping',
  ),
  routerHighMessages: count(
    'messages',
    10_000,
    [1, 10_000_000],
    'messages between clients that wait to be routed from which on their publishers are paused',
    'some 10 ms of work',
  ),
  routerLowMessages: count(
    'messages',
    1000,
    [0, 10_000_000],
    'messages that wait to be routed below which reading goes on',
    'a tenth of routerHighMessages keeps it from flapping',
  ),

  // Devices.
  maxSeriesPerDevice: count(
    'series',
    1000,
    [1, 1_000_000],
    'most different metrics of one device',
    'stops a device that writes values or times into metric names',
  ),
  maxStreamsPerDevice: count(
    'streams',
    8,
    [1, 1000],
    'numbered queues that are remembered for one device; the longest unused goes first',
    'a device has one; a few more survive re-installed firmware',
  ),
  largeIntegers: choice(
    ['refuse', 'round'],
    'refuse',
    'what to do with integers past 2^53: refuse or round',
    'refuse: a stored value is the value that was sent',
  ),
  rejectedPerDevice: count(
    'payloads',
    100,
    [0, 100_000],
    'unreadable payloads that are kept for one device',
    'enough to see what a faulty firmware sends; evictions are counted',
  ),
  rejectedInAll: count(
    'payloads',
    10_000,
    [0, 10_000_000],
    'unreadable payloads that are kept in all',
    'a whole fleet with a faulty firmware must not fill the disk',
  ),
  eventsPerDevice: count(
    'events',
    1000,
    [0, 1_000_000],
    'events that are kept for one device',
    'weeks for a usual device',
  ),

  // Commands.
  maxPendingCommands: count(
    'commands',
    64,
    [1, 10_000],
    'most unfinished commands of one device',
    'more means that the device does not keep up; the sender should know',
  ),
  commandTtlMs: duration(
    HOUR,
    1000,
    'how long a command waits for its device unless the sender says otherwise',
    'most commands are about now; those for sleeping devices give their own ttlMs',
  ),
  commandResponseTimeoutMs: duration(
    MINUTE,
    100,
    'how long a device may take to answer a command that it received, unless the sender says otherwise',
    'people wait; long work should answer early and send events',
  ),

  // Sessions and retained messages.
  sessionExpiryMs: duration(
    24 * HOUR,
    0,
    'the longest that a session is kept without a connection, whatever its client asks for; MQTT 3 clients with clean session 0 get it',
    'a day bridges a night without power',
  ),
  maxOfflineSessions: count(
    'sessions',
    10_000,
    [0, 1_000_000],
    'most kept sessions without a connection; the longest unused goes first',
    'each may hold limits.maxQueuedBytes',
  ),
  maxQueuedBytesInAll: bytes(
    GIB,
    0,
    'most bytes that wait for all sessions together, on disk or in memory; what comes past it is dropped and counted',
    'ten thousand sessions with a hundred messages of a kilobyte each',
  ),
  queueFull: choice(
    ['refuse_newest', 'drop_oldest'],
    'refuse_newest',
    "what is dropped when a session's queue is full: refuse_newest or drop_oldest",
    'what a client finds after a long time is then in order and without holes, up to a point',
  ),
  maxQueues: count(
    'queues',
    1000,
    [1, 100_000],
    'most queues (STOMP /queue/…) at once; one that is empty and has no consumer is gone',
    'each costs memory; who needs more wants topics',
  ),
  maxQueueMessages: count(
    'messages',
    100_000,
    [1, 10_000_000],
    'most messages in one queue; a full one refuses what comes',
    'an hour of a busy producer whose consumers are away',
  ),
  maxQueueBytes: bytes(64 * MIB, 1024, 'most bytes of messages in one queue', 'the same, for large messages'),
  maxQueueBytesInAll: bytes(
    GIB,
    1024,
    'most bytes of messages in all queues together; they are on disk',
    'sixteen full queues',
  ),
  maxDeliveries: count(
    'deliveries',
    10,
    [1, 1000],
    'how often consumers may refuse a message of a queue (NACK) before it goes to the dead letters',
    'enough for a consumer that is in trouble for a moment',
  ),
  maxRetainedMessages: count(
    'messages',
    10_000,
    [0, 10_000_000],
    'most retained messages of clients',
    'all are held in memory, besides the disk',
  ),
  maxRetainedBytes: bytes(64 * MIB, 0, 'most bytes of retained messages', 'as maxRetainedMessages'),

  // How long things are kept.
  retainConnectionsDays: count(
    'days',
    30,
    [1, CENTURY_DAYS],
    'days that ended connections are kept; the last one of a device stays',
    'a month shows how a device behaves; a flapping one adds thousands a day',
  ),
  retainRejectedDays: count(
    'days',
    30,
    [1, CENTURY_DAYS],
    'days that unreadable payloads are kept',
    'time enough to mend a firmware; rejectedPerDevice and rejectedInAll bound them as well',
  ),
  retainCommandsDays: count(
    'days',
    30,
    [1, CENTURY_DAYS],
    'days that ended commands and their histories are kept',
    'time enough to ask what was sent; unfinished ones are never removed',
  ),
  retainEventsDays: count(
    'days',
    90,
    [1, CENTURY_DAYS],
    'days that events of devices are kept',
    'events are rare and tell of a season; eventsPerDevice bounds them as well',
  ),

  // Operation.
  rangeBudgetMs: duration(
    2 * SECOND,
    10,
    'longest time that one range query may read before it answers with what it has',
    'one query must not hold up the others; the answer says how to go on',
  ),
  shutdownTimeoutMs: duration(
    10 * SECOND,
    0,
    'longest time that SIGTERM waits for commits and goodbyes',
    'service managers kill after 10 to 90 s',
  ),
  metricsNeedToken: flag(
    'ask for an API token on /metrics too',
    'off: scrapers rarely carry tokens, and the figures name no device',
  ),
  sysIntervalMs: duration(
    10 * SECOND,
    0,
    'how often the figures under $SYS/broker/ are taken, and those that changed published; 0: there are no such topics',
    'the pace of mosquitto, for which the dashboards that read them were made',
  ),
  logLevel: choice(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    'info',
    'least severity that is logged: fatal, error, warn, info, debug, trace or silent',
    'info: starts, stops and faults, nothing for each message',
  ),
} as const;
