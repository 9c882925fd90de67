# syntax=docker/dockerfile:1

FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No dependency needs its install script here: better-sqlite3 ships its binary, and Node is in the image.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY protocols protocols
COPY hub hub
COPY devices-sim devices-sim
COPY cli cli
COPY dashboard dashboard
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json \
  && node dashboard/build.ts \
  && npm prune --omit=dev --ignore-scripts \
  && chmod 0755 dist/cli/bin.js

FROM node:24-bookworm-slim
ENV NODE_ENV=production MUSTER_DATA=/data
WORKDIR /app
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
COPY LICENSE ./
COPY deploy/docker/healthcheck.mjs ./
# The folder of the database belongs to the user that the hub runs as; a named volume takes that over.
RUN ln -s /app/dist/cli/bin.js /usr/local/bin/muster && install -d -o node -g node -m 0700 /data
USER node
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "/app/healthcheck.mjs"]
ENTRYPOINT ["muster"]
CMD ["serve"]
