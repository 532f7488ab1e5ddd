// FaceView: one smoothly shaded triangle mesh on a WebGL2 canvas, turned with the mouse.
// Positions are millimetres, y up, z towards the viewer. Colours are sRGB bytes, the fourth byte is the gloss.

const VERTEX_SHADER = `#version 300 es
in vec3 position; in vec3 normal; in vec4 colour;
uniform mat4 camera;
out vec3 place; out vec3 direction; out vec4 paint;
void main() {
  place = position; direction = normal; paint = colour;
  gl_Position = camera * vec4(position, 1.0);
}`;

// Skin scatters light: red reaches further past the shadow line than blue, hence a wrap per colour channel.
const FRAGMENT_SHADER = `#version 300 es
precision highp float;
in vec3 place; in vec3 direction; in vec4 paint;
uniform vec3 eye;
out vec4 pixel;
const vec3 WRAP = vec3(0.26, 0.13, 0.09);
vec3 lit(vec3 n, vec3 towards) { return max((vec3(dot(n, towards)) + WRAP) / (1.0 + WRAP), 0.0); }
float gleam(vec3 n, vec3 view, vec3 towards, float power) {
  return pow(max(dot(n, normalize(view + towards)), 0.0), power) * max(dot(n, towards), 0.0);
}
void main() {
  vec3 n = normalize(gl_FrontFacing ? direction : -direction), view = normalize(eye - place);
  vec3 key = normalize(vec3(-0.66, 0.55, 0.72)), fill = normalize(vec3(0.80, 0.05, 0.60)), rim = vec3(0.0, 0.45, -0.9);
  vec3 albedo = pow(paint.rgb, vec3(2.2));
  vec3 sky = mix(vec3(0.16, 0.12, 0.11), vec3(0.25, 0.25, 0.26), 0.5 + 0.5 * n.y);
  vec3 light = sky + 1.02 * vec3(1.0, 0.95, 0.88) * lit(n, key) + 0.26 * vec3(1.0, 0.93, 0.90) * lit(n, fill);
  float edge = pow(1.0 - max(dot(n, view), 0.0), 4.0);
  vec3 back = vec3(0.5, 0.6, 0.75) * edge * (0.10 + 0.5 * max(dot(n, rim), 0.0));
  float power = mix(14.0, 180.0, paint.a), strength = min(1.25 * paint.a, 0.75);
  vec3 shine = strength * vec3(gleam(n, view, key, power) + 0.35 * gleam(n, view, fill, power));
  vec3 colour = albedo * light + back * albedo * 2.0 + shine;
  pixel = vec4(pow(colour / (1.0 + 0.18 * colour), vec3(1.0 / 2.2)), 1.0);
}`;

const FIELD_OF_VIEW = 0.40;  // radians; long enough a lens not to swell the nose
const HOME = { yaw: 0.0, pitch: 0.0, zoom: 1.0 };

function compile(gl, kind, source) {
  const shader = gl.createShader(kind);
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
  return shader;
}

function buildProgram(gl) {
  const program = gl.createProgram();
  gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, VERTEX_SHADER));
  gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT_SHADER));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

// Area-weighted vertex normals: the sum of the cross products of the triangles around a vertex.
function vertexNormals(vertices, faces, normals) {
  normals.fill(0);
  for (let f = 0; f < faces.length; f += 3) {
    const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
    const ux = vertices[b] - vertices[a], uy = vertices[b + 1] - vertices[a + 1], uz = vertices[b + 2] - vertices[a + 2];
    const wx = vertices[c] - vertices[a], wy = vertices[c + 1] - vertices[a + 1], wz = vertices[c + 2] - vertices[a + 2];
    const x = uy * wz - uz * wy, y = uz * wx - ux * wz, z = ux * wy - uy * wx;
    normals[a] += x; normals[a + 1] += y; normals[a + 2] += z;
    normals[b] += x; normals[b + 1] += y; normals[b + 2] += z;
    normals[c] += x; normals[c + 1] += y; normals[c + 2] += z;
  }
  return normals;
}

// Column-major product of a perspective lens and a camera at `eye` with the axes right, up, back.
function cameraMatrix(eye, [right, up, back], aspect, near, far) {
  const f = 1 / Math.tan(FIELD_OF_VIEW / 2), dot = (a) => a[0] * eye[0] + a[1] * eye[1] + a[2] * eye[2];
  const sx = aspect < 1 ? f : f / aspect, sy = aspect < 1 ? f * aspect : f;
  const p = (far + near) / (near - far), q = (2 * far * near) / (near - far), m = new Float32Array(16);
  for (let i = 0; i < 3; i++) {
    m[4 * i] = sx * right[i]; m[4 * i + 1] = sy * up[i]; m[4 * i + 2] = p * back[i]; m[4 * i + 3] = -back[i];
  }
  m[12] = -sx * dot(right); m[13] = -sy * dot(up); m[14] = -p * dot(back) + q; m[15] = dot(back);
  return m;
}

class FaceView {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { antialias: true });
    if (!this.gl) throw new Error("This browser offers no WebGL2; the face cannot be drawn.");
    this.program = buildProgram(this.gl);
    this.buffers = { position: this.gl.createBuffer(), normal: this.gl.createBuffer(), colour: this.gl.createBuffer() };
    this.elements = this.gl.createBuffer();
    this.orbit = { ...HOME };
    this.listen();
  }

  setMesh(faces, colours, rest) {
    const gl = this.gl;
    this.faces = faces;
    this.normals = new Float32Array(rest.length);
    this.frameCamera(rest);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.elements);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, faces, gl.STATIC_DRAW);
    this.fill("colour", colours, 4, gl.UNSIGNED_BYTE, true, gl.STATIC_DRAW);
    this.setVertices(rest);
  }

  frameCamera(rest) {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    rest.forEach((v, i) => { low[i % 3] = Math.min(low[i % 3], v); high[i % 3] = Math.max(high[i % 3], v); });
    this.target = low.map((v, i) => (v + high[i]) / 2);
    this.radius = Math.max(high[0] - low[0], high[1] - low[1]) / 2;
    this.depth = high[2] - low[2];
  }

  setVertices(vertices) {
    this.fill("position", vertices, 3, this.gl.FLOAT, false, this.gl.DYNAMIC_DRAW);
    this.fill("normal", vertexNormals(vertices, this.faces, this.normals), 3, this.gl.FLOAT, false, this.gl.DYNAMIC_DRAW);
  }

  fill(name, values, width, kind, normalised, usage) {
    const gl = this.gl, location = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, usage);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, width, kind, normalised, 0, 0);
  }

  axes() {
    const { yaw, pitch } = this.orbit, cy = Math.cos(yaw), sy = Math.sin(yaw), cp = Math.cos(pitch), sp = Math.sin(pitch);
    return [[cy, 0, -sy], [-sy * sp, cp, -cy * sp], [sy * cp, sp, cy * cp]];
  }

  draw() {
    if (!this.faces) return;
    const gl = this.gl, axes = this.axes();
    const distance = (1.03 * this.radius) / Math.tan(FIELD_OF_VIEW / 2) / this.orbit.zoom + this.depth / 2;
    const eye = this.target.map((v, i) => v + distance * axes[2][i]);
    const reach = this.radius + this.depth;
    this.fitCanvas();
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...this.background(), 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.program);
    const camera = cameraMatrix(eye, axes, this.canvas.width / this.canvas.height, Math.max(1, distance - 2 * reach), distance + 2 * reach);
    gl.uniformMatrix4fv(gl.getUniformLocation(this.program, "camera"), false, camera);
    gl.uniform3fv(gl.getUniformLocation(this.program, "eye"), eye);
    gl.drawElements(gl.TRIANGLES, this.faces.length, gl.UNSIGNED_INT, 0);
  }

  // Reading one pixel waits until everything drawn so far is really there; only then may one speak of latency.
  finish() { this.gl.readPixels(0, 0, 1, 1, this.gl.RGBA, this.gl.UNSIGNED_BYTE, new Uint8Array(4)); }

  background() {
    const channels = getComputedStyle(this.canvas).backgroundColor.match(/[\d.]+/g) || [];
    return [0, 1, 2].map((i) => Number(channels[i] ?? 0) / 255);
  }

  fitCanvas() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio)), height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
  }

  listen() {
    const canvas = this.canvas, turn = (dx, dy) => {
      this.orbit.yaw -= dx;
      this.orbit.pitch = Math.max(-1.4, Math.min(1.4, this.orbit.pitch + dy));
      this.draw();
    };
    canvas.addEventListener("pointerdown", (e) => canvas.setPointerCapture(e.pointerId));
    canvas.addEventListener("pointermove", (e) => { if (e.buttons) turn(e.movementX * 0.01, e.movementY * 0.01); });
    canvas.addEventListener("dblclick", () => { this.orbit = { ...HOME }; this.draw(); });
    canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      this.orbit.zoom = Math.max(0.4, Math.min(6, this.orbit.zoom * Math.exp(-e.deltaY * 0.001)));
      this.draw();
    }, { passive: false });
    const arrows = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    canvas.addEventListener("keydown", (e) => { if (arrows[e.key]) { e.preventDefault(); e.stopPropagation(); turn(...arrows[e.key]); } });
    canvas.addEventListener("webglcontextlost", (e) => e.preventDefault());
  }
}
