/*
 * An ESP32 that speaks MQTT to Muster: measures, stores and forwards, answers commands. See ../../README.md.
 *
 * This sketch is NOT compiled or run by this project's tests: it needs a board. Written for Arduino core 3.x for ESP32 (ESP-IDF 5), whose
 * ESP-MQTT is part of the core: there is no library to install. Not PubSubClient, because that publishes with QoS 0 alone: without a
 * PUBACK nobody knows what has arrived.
 *
 * PUBACK means that the hub has the message on disk. MQTT 3.1.1 may deliver a message twice; as each reading carries its time, the hub
 * merges the two (equal metric, time and value are one reading).
 */
#include <WiFi.h>
#include <esp_random.h>
#include <mqtt_client.h>
#include <sys/time.h>

const char *WIFI_NAME = "…";
const char *WIFI_PASSWORD = "…";
const char *DEVICE_TOKEN = "mst_…"; /* muster device add NAME */
/*
 * ws://…:8080 for a try on your own network; wss://… with the CA below otherwise. Where the hub listens for MQTT on TCP
 * (docs/listeners.md), mqtt://…:1883 and mqtts://…:8883 do as well.
 */
const char *HUB = "wss://hub.example:443/mqtt";
/*
 * The CA that signed the hub's certificate, PEM; NULL with ws:// and mqtt://. With TLS and without it nothing is sent: ESP-MQTT may be built
 * so that it would give the token to whoever answers.
 */
const char *HUB_CA = NULL;

const int LED_PIN = 2;
const unsigned long INTERVAL_MS = 1000;
const unsigned long RETRY_FIRST_MS = 1000, RETRY_MOST_MS = 60000;
/* ESP-MQTT itself repeats what is not acknowledged, but forgets it after 30 s (CONFIG_MQTT_OUTBOX_EXPIRED_TIMEOUT_MS). */
const unsigned long PUBACK_LIMIT_MS = 35000;

/* ---- What the hub has not acknowledged: a ring. When it is full nothing more is taken. ---- */

struct Reading {
  int64_t timeMs;
  float temp;
};
const size_t MOST_READINGS = 512;
Reading ring[MOST_READINGS];
size_t oldest = 0, held = 0;

/* ---- Between the task of ESP-MQTT, which calls onMqtt, and loop(): nothing else is shared ---- */

struct Command {
  char id[65], name[65], params[512];
};
QueueHandle_t commands;     /* of Command */
QueueHandle_t acknowledged; /* of int: packet ids */
volatile bool isConnected = false;
volatile bool wasLost = false;

esp_mqtt_client_handle_t client;
int underWay = -1; /* packet id of the message that waits for its PUBACK */
unsigned long sentMs = 0, nextMs = 0, retryMs = 0;
int attempt = 0;

/* A part of a topic, between two slashes. False when it is not there or too long. */
bool levelOf(const char *topic, int length, int level, char *out, size_t room) {
  int at = 0;
  for (; level > 0 && at < length; at++)
    if (topic[at] == '/') level--;
  int end = at;
  while (end < length && topic[end] != '/') end++;
  if (level > 0 || end == at || (size_t)(end - at) >= room) return false;
  memcpy(out, topic + at, end - at);
  out[end - at] = 0;
  return true;
}

/* devices/me/commands/{id}/{name}, parameters as JSON. What is too long for this device, or comes in pieces, is left to expire. */
void onCommand(const esp_mqtt_event_t *event) {
  Command command;
  if (event->data_len != event->total_data_len || (size_t)event->data_len >= sizeof command.params) return;
  if (!levelOf(event->topic, event->topic_len, 3, command.id, sizeof command.id)) return;
  if (!levelOf(event->topic, event->topic_len, 4, command.name, sizeof command.name)) return;
  memcpy(command.params, event->data, event->data_len);
  command.params[event->data_len] = 0;
  xQueueSend(commands, &command, 0);
}

void onMqtt(void *, esp_event_base_t, int32_t id, void *data) {
  const esp_mqtt_event_t *event = (const esp_mqtt_event_t *)data;
  switch ((esp_mqtt_event_id_t)id) {
    case MQTT_EVENT_CONNECTED:
      esp_mqtt_client_subscribe(event->client, "devices/me/commands/+/+", 1);
      isConnected = true;
      break;
    case MQTT_EVENT_DISCONNECTED:
      isConnected = false;
      wasLost = true;
      break;
    case MQTT_EVENT_PUBLISHED: /* PUBACK */
      xQueueSend(acknowledged, &event->msg_id, 0);
      break;
    case MQTT_EVENT_DATA:
      onCommand(event);
      break;
    default:
      break;
  }
}

/* ---- What it measures, and the commands it knows: the part to replace ---- */

float measure() { return temperatureRead(); /* the chip's own */ }

/* The value is JSON. A command that comes twice (its PUBACK was lost) is worked on twice: make it so that this does no harm, or keep ids. */
const char *workOn(const Command &command, char *value, size_t room) {
  if (strcmp(command.name, "blink") == 0) {
    pinMode(LED_PIN, OUTPUT);
    for (int i = 0; i < 6; i++) {
      digitalWrite(LED_PIN, i % 2 == 0 ? HIGH : LOW);
      delay(100);
    }
    snprintf(value, room, "{\"blinked\":3}");
    return "succeeded";
  }
  snprintf(value, room, "\"this device knows blink\"");
  return "rejected";
}

/* ---- */

/* Milliseconds since 1970; 0 before the network has told the time. */
int64_t nowMs() {
  timeval now;
  gettimeofday(&now, NULL);
  return now.tv_sec < 1735689600 ? 0 : (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000; /* 2025 */
}

void answerCommands() {
  Command command;
  while (xQueueReceive(commands, &command, 0) == pdTRUE) {
    char value[128], topic[128], result[256];
    const char *status = workOn(command, value, sizeof value);
    snprintf(topic, sizeof topic, "devices/me/commands/%s/result", command.id);
    snprintf(result, sizeof result, "{\"status\":\"%s\",\"value\":%s}", status, value);
    esp_mqtt_client_enqueue(client, topic, result, 0, 1, 0, true);
  }
}

/* The oldest reading leaves the ring when its PUBACK is there. One at a time: simple, and a round trip each. */
void deliver() {
  int packetId;
  while (xQueueReceive(acknowledged, &packetId, 0) == pdTRUE) {
    if (packetId != underWay) continue; /* of a result, or of a message that was given up */
    oldest = (oldest + 1) % MOST_READINGS;
    held--;
    underWay = -1;
    attempt = 0; /* it works: the next loss starts with a short wait again */
  }
  if (underWay >= 0 && millis() - sentMs > PUBACK_LIMIT_MS) underWay = -1;
  if (!isConnected || underWay >= 0 || held == 0) return;
  char payload[96];
  const Reading &reading = ring[oldest];
  snprintf(payload, sizeof payload, "{\"ts\":%lld,\"temp\":%.2f}", (long long)reading.timeMs, reading.temp);
  int id = esp_mqtt_client_publish(client, "devices/me/telemetry", payload, 0, 1, 0);
  if (id < 0) return;
  underWay = id;
  sentMs = millis();
}

/* Full jitter: a fleet that was cut off at one moment does not come back at one moment. */
void reconnect() {
  if (wasLost) {
    wasLost = false;
    unsigned long most = RETRY_FIRST_MS;
    for (int i = 0; i < attempt && most < RETRY_MOST_MS; i++) most *= 2;
    if (most > RETRY_MOST_MS) most = RETRY_MOST_MS;
    attempt++;
    retryMs = millis() + esp_random() % most;
    if (retryMs == 0) retryMs = 1;
  }
  if (retryMs == 0 || (long)(millis() - retryMs) < 0 || WiFi.status() != WL_CONNECTED) return;
  retryMs = 0;
  esp_mqtt_client_reconnect(client);
}

void setup() {
  Serial.begin(115200);
  bool withTls = strncmp(HUB, "wss://", 6) == 0 || strncmp(HUB, "mqtts://", 8) == 0;
  while (withTls && HUB_CA == NULL) {
    Serial.println("HUB_CA is missing");
    delay(10000);
  }
  commands = xQueueCreate(16, sizeof(Command)); /* as many as the hub has under way */
  acknowledged = xQueueCreate(32, sizeof(int));
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(100);
  configTime(0, 0, "pool.ntp.org");

  esp_mqtt_client_config_t config = {};
  config.broker.address.uri = HUB;
  config.broker.verification.certificate = HUB_CA;
  config.credentials.username = "device"; /* any: the token says who it is */
  config.credentials.authentication.password = DEVICE_TOKEN;
  config.session.keepalive = 60;
  config.network.disable_auto_reconnect = true; /* its waits are all alike; ours are not */
  client = esp_mqtt_client_init(&config);
  esp_mqtt_client_register_event(client, MQTT_EVENT_ANY, onMqtt, NULL);
  esp_mqtt_client_start(client);
}

void loop() {
  int64_t timeMs = nowMs();
  if (timeMs != 0 && (long)(millis() - nextMs) >= 0) {
    nextMs = millis() + INTERVAL_MS;
    if (held < MOST_READINGS) ring[(oldest + held++) % MOST_READINGS] = {timeMs, measure()};
    else Serial.println("the ring is full: what is measured now is lost");
  }
  answerCommands();
  deliver();
  reconnect();
  delay(5);
}
