// The page without a kernel: tracks of weights were computed beforehand for every choice and several intensities.
// Between two computed intensities the weights are interpolated linearly; the page says so.

function decode(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function blend(tracks, levels, level) {
  let i = levels.findIndex((a) => a >= level);
  i = Math.max(1, i < 0 ? levels.length - 1 : i);
  const share = (level - levels[i - 1]) / (levels[i] - levels[i - 1]);
  const mix = (name) => tracks[i - 1][name].map((v, k) => v + share * (tracks[i][name][k] - v));
  return { weights: mix("weights"), opening: mix("opening") };
}

function openPage(data) {
  const player = new Player(document.getElementById("player"));
  const choice = document.getElementById("choice"), slider = document.getElementById("level"), shown = document.getElementById("shown");
  const tracks = Object.fromEntries(Object.entries(data.tracks).map(([name, list]) =>
    [name, list.map((t) => ({ weights: decode(t.weights, Float32Array), opening: decode(t.opening, Float32Array) }))]));
  const update = () => {
    const level = Number(slider.value);
    shown.textContent = level.toFixed(2);
    player.setMotion({ ...blend(tracks[choice.value], data.levels, level), fps: data.fps, stamp: `${choice.value} ${level}` });
  };
  for (const name of Object.keys(tracks)) choice.add(new Option(name, name));
  choice.value = data.choice;
  player.setMesh({ faces: decode(data.faces, Uint32Array), colours: decode(data.colours, Uint8Array) });
  player.setBasis({ mean: decode(data.mean, Float32Array), rows: decode(data.rows, Int16Array), scales: decode(data.scales, Float32Array) });
  player.setAudio(decode(data.audio, Uint8Array));
  choice.addEventListener("input", update);
  slider.addEventListener("input", update);
  update();
}

openPage(JSON.parse(document.getElementById("data").textContent));
