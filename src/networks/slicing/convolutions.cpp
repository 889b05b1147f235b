// Forward passes of small convolutional networks in float32, on the calling thread.
//
// Maps lie image by image, row by row, pixel by pixel, channel by channel, with the channels filled up to the vector's
// length by zeros and with a margin of zeros around each image, so that no step has to ask where a map ends.
// Convolutions of side 3 take the minimal filtering of Winograd (Lavin and Gray, CVPR 2016): 36 products for 16 pixels
// in place of 144. Its six points are 0, +-3/4, +-3/2 and infinity: the customary +-1, +-2 lose twice as many digits.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 12;
#elif defined(__AVX__)
constexpr int LANES = 8, ROWS = 6;
#else
constexpr int LANES = 4, ROWS = 4;
#endif
constexpr int PANEL = 2 * LANES;  // columns of a matrix that lie together
constexpr int64_t SUMMED = 32;    // products that are summed before the sum joins the total: fewer digits are lost

typedef float Vector __attribute__((vector_size(LANES * 4), aligned(4)));
typedef double Doubles __attribute__((vector_size(LANES * 8)));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, const Vector& values) { *reinterpret_cast<Vector*>(to) = values; }
inline Vector relu(const Vector& values) { return values < 0 ? Vector{} : values; }  // a NaN stays one
inline Vector larger(const Vector& a, const Vector& b) { return ((a < b) | (b != b)) ? b : a; }
inline int64_t padded(int64_t count) { return (count + LANES - 1) / LANES * LANES; }
inline int64_t panels(int64_t count) { return (count + PANEL - 1) / PANEL; }

// Rows of a matrix: each of ``segments`` runs of ``length`` numbers that begin ``step`` numbers apart.
struct Rows {
    const float* data;
    int64_t apart, segments, length, step;
};

// What follows a product: a bias (null: none), ReLU, and a map that is added (null: none).
struct Finish {
    const float* bias;
    bool relu;
    const float* added;
    int64_t added_apart;
};

template <int M, int N>
inline void add_products(const float* from, int64_t apart, int64_t count, const float*& weights, Vector (&sums)[M][N]) {
    for (int64_t k = 0; k < count; ++k, weights += PANEL) {
        Vector weight[N];
        for (int j = 0; j < N; ++j) weight[j] = load(weights + j * LANES);
        for (int i = 0; i < M; ++i) {
            const Vector value = from[i * apart + k] - Vector{};  // in every lane
            for (int j = 0; j < N; ++j) sums[i][j] += value * weight[j];
        }
    }
}

template <int M, int N>
inline void tile(const Rows& rows, const float* weights, float* to, int64_t apart, const Finish& finish, int64_t column) {
    Vector total[M][N] = {};
    if (rows.segments * rows.length <= SUMMED) {
        for (int64_t segment = 0; segment < rows.segments; ++segment)
            add_products<M, N>(rows.data + segment * rows.step, rows.apart, rows.length, weights, total);
    } else {
        const int64_t parts = (rows.length + SUMMED - 1) / SUMMED, part = (rows.length + parts - 1) / parts;
        for (int64_t segment = 0; segment < rows.segments; ++segment)
            for (int64_t begin = 0; begin < rows.length; begin += part) {
                Vector sums[M][N] = {};
                const int64_t count = std::min(part, rows.length - begin);
                add_products<M, N>(rows.data + segment * rows.step + begin, rows.apart, count, weights, sums);
                for (int i = 0; i < M; ++i)
                    for (int j = 0; j < N; ++j) total[i][j] += sums[i][j];
            }
    }
    const bool bare = !finish.bias && !finish.relu && !finish.added;
    for (int j = 0; j < N; ++j) {
        const int64_t place = column + j * LANES;
        const Vector bias = finish.bias ? load(finish.bias + place) : Vector{};
        for (int i = 0; i < M; ++i) {
            Vector value = total[i][j];
            if (!bare) {
                value += bias;
                if (finish.relu) value = relu(value);
                if (finish.added) value += load(finish.added + i * finish.added_apart + place);
            }
            store(to + i * apart + place, value);
        }
    }
}

template <int M, int N>
void fewer(int64_t count, const Rows& rows, const float* weights, float* to, int64_t apart, const Finish& finish, int64_t column) {
    if constexpr (M > 0) {
        if (count == M) tile<M, N>(rows, weights, to, apart, finish, column);
        else fewer<M - 1, N>(count, rows, weights, to, apart, finish, column);
    }
}

template <int M, int N>
void columns_of(int64_t count, Rows rows, const float* weights, float* to, int64_t apart, Finish finish, int64_t column) {
    for (; count >= M; count -= M) {
        tile<M, N>(rows, weights, to, apart, finish, column);
        rows.data += M * rows.apart;
        to += M * apart;
        if (finish.added) finish.added += M * finish.added_apart;
    }
    if (count) fewer<M - 1, N>(count, rows, weights, to, apart, finish, column);
}

// to[count][columns] = rows @ weights; weights as [panels][depth][PANEL], columns a multiple of LANES.
void product(int64_t count, int64_t columns, const Rows& rows, const float* weights, float* to, int64_t apart, const Finish& finish) {
    for (int64_t column = 0; column < columns; column += PANEL, weights += rows.segments * rows.length * PANEL) {
        if (column + LANES < columns) columns_of<ROWS, 2>(count, rows, weights, to, apart, finish, column);
        else columns_of<12, 1>(count, rows, weights, to, apart, finish, column);  // enough sums for the latency
    }
}

constexpr float P = 0.75f, Q = 1.5f, PP = P * P, QQ = Q * Q;

inline void transform_input(const Vector* d, Vector* to) {
    const Vector p_even = d[4] - QQ * d[2], p_odd = P * (d[3] - QQ * d[1]);
    const Vector q_even = d[4] - PP * d[2], q_odd = Q * (d[3] - PP * d[1]);
    to[0] = PP * QQ * d[0] - (PP + QQ) * d[2] + d[4];
    to[1] = p_even + p_odd;
    to[2] = p_even - p_odd;
    to[3] = q_even + q_odd;
    to[4] = q_even - q_odd;
    to[5] = PP * QQ * d[1] - (PP + QQ) * d[3] + d[5];
}

inline void transform_output(const Vector* m, Vector* to) {
    const Vector p_sum = m[1] + m[2], p_difference = m[1] - m[2], q_sum = m[3] + m[4], q_difference = m[3] - m[4];
    to[0] = m[0] + p_sum + q_sum;
    to[1] = P * p_difference + Q * q_difference;
    to[2] = PP * p_sum + QQ * q_sum;
    to[3] = P * PP * p_difference + Q * QQ * q_difference + m[5];
}

inline void transform_weights(const Doubles* g, Doubles* to) {
    constexpr double p = P, q = Q, pp = p * p, qq = q * q;
    const Doubles p_even = (g[0] + pp * g[2]) / (2 * pp * (pp - qq)), p_odd = p * g[1] / (2 * pp * (pp - qq));
    const Doubles q_even = (g[0] + qq * g[2]) / (2 * qq * (qq - pp)), q_odd = q * g[1] / (2 * qq * (qq - pp));
    to[0] = g[0] / (pp * qq);
    to[1] = p_even + p_odd;
    to[2] = p_even - p_odd;
    to[3] = q_even + q_odd;
    to[4] = q_even - q_odd;
    to[5] = g[2];
}

}  // namespace

extern "C" {

enum Kind : int64_t { WINOGRAD, DIRECT, MATRIX };

// A layer and the map that it reads. ``in``: channels as they lie there (of a matrix: numbers per image), of which a
// convolution of side 3 multiplies the first ``depth``; ``out``: as they are written. ``row``, ``image``: numbers
// from row to row and from image to image. ``added``: the layer, counted from this one, whose input is added after
// the ReLU; 0: none. ``block``: tiles that are transformed together.
struct Layer {
    int64_t kind, height, width, in, out, side, padding, relu, pool, added, margin, row, image, block, depth;
    const float* weights;
    const float* bias;
};

int64_t lanes() { return LANES; }
int64_t panel() { return PANEL; }

// base [9][inputs][outputs] -> to [36][panels][count_in][PANEL], of the chosen inputs and outputs.
void pack_winograd(const float* base, int64_t inputs, int64_t outputs, const int64_t* chosen_in, int64_t count_in,
                   const int64_t* chosen_out, int64_t count_out, float* to) {
    const int64_t out = padded(count_out), across = panels(out);
    std::memset(to, 0, sizeof(float) * 36 * across * count_in * PANEL);
    std::vector<double> line(9 * out);
    for (int64_t c = 0; c < count_in; ++c) {
        for (int tap = 0; tap < 9; ++tap) {
            const float* row = base + (tap * inputs + chosen_in[c]) * outputs;
            for (int64_t o = 0; o < count_out; ++o) line[tap * out + o] = row[chosen_out[o]];
        }
        for (int64_t o = 0; o < out; o += LANES) {
            Doubles half[3][6], column[3], whole[6];
            for (int x = 0; x < 3; ++x) {
                for (int y = 0; y < 3; ++y) std::memcpy(&column[y], line.data() + (3 * y + x) * out + o, sizeof(Doubles));
                transform_weights(column, half[x]);
            }
            for (int i = 0; i < 6; ++i) {
                for (int x = 0; x < 3; ++x) column[x] = half[x][i];
                transform_weights(column, whole);
                for (int j = 0; j < 6; ++j)
                    store(to + (((i * 6 + j) * across + o / PANEL) * count_in + c) * PANEL + o % PANEL,
                          __builtin_convertvector(whole[j], Vector));
            }
        }
    }
}

// base [any][outputs] -> to [panels][depth][PANEL]: its rows and columns, zeros where the index is -1.
void pack_matrix(const float* base, int64_t outputs, const int64_t* rows, int64_t depth, const int64_t* columns,
                 int64_t count, float* to) {
    std::memset(to, 0, sizeof(float) * panels(count) * depth * PANEL);
    for (int64_t k = 0; k < depth; ++k)
        if (rows[k] >= 0)
            for (int64_t j = 0; j < count; ++j)
                if (columns[j] >= 0) to[((j / PANEL) * depth + k) * PANEL + j % PANEL] = base[rows[k] * outputs + columns[j]];
}

// base [9][inputs][outputs] -> the matrix from all pixels and channels of a map to all of its convolution.
void pack_map(const float* base, int64_t inputs, int64_t outputs, const int64_t* chosen_in, int64_t count_in,
              const int64_t* chosen_out, int64_t count_out, int64_t in, int64_t height, int64_t width, float* to) {
    const int64_t out = padded(count_out), pixels = height * width, depth = pixels * in;
    std::memset(to, 0, sizeof(float) * panels(pixels * out) * depth * PANEL);
    for (int64_t p = 0; p < pixels; ++p)
        for (int64_t q = 0; q < pixels; ++q) {
            const int64_t down = q / width - p / width + 1, across = q % width - p % width + 1;
            if (down < 0 || down > 2 || across < 0 || across > 2) continue;
            for (int64_t c = 0; c < count_in; ++c) {
                const float* row = base + ((down * 3 + across) * inputs + chosen_in[c]) * outputs;
                for (int64_t o = 0; o < count_out; ++o) {
                    const int64_t column = p * out + o;
                    to[((column / PANEL) * depth + q * in + c) * PANEL + column % PANEL] = row[chosen_out[o]];
                }
            }
        }
}

}  // extern "C"

namespace {

struct Map {
    float* data;
    int64_t height, width, channels, margin, row, image;

    Map(const Layer& reader, float* to)
        : data(to), height(reader.height), width(reader.width), channels(reader.in), margin(reader.margin),
          row(reader.row), image(reader.image) {
        if (reader.kind == MATRIX) channels = reader.in / (height * width);
    }
    Map(float* to, int64_t height, int64_t width, int64_t channels)
        : data(to), height(height), width(width), channels(channels), margin(0), row(width * channels),
          image(height * width * channels) {}
    float* at(int64_t number, int64_t r, int64_t c) const {
        return data + number * image + (r + margin) * row + (c + margin) * channels;
    }
};

void pool(const Map& from, int64_t number, int64_t r, const Map& to, int64_t to_number, int64_t to_r) {
    for (int64_t c = 0; c < from.width / 2; ++c) {
        const float *top = from.at(number, r, 2 * c), *bottom = top + from.row, *right = top + from.channels;
        const float* corner = bottom + from.channels;
        float* out = to.at(to_number, to_r, c);
        for (int64_t o = 0; o < from.channels; o += LANES)
            store(out + o, larger(larger(load(top + o), load(right + o)), larger(load(bottom + o), load(corner + o))));
    }
}

void winograd(const Layer& layer, int64_t images, const Map& from, const Map& to, const Map* added, float* space) {
    const int64_t C = layer.in, O = layer.out;
    const int64_t across = (layer.width + 3) / 4, each = across * ((layer.height + 3) / 4), tiles = images * each;
    const int64_t block = std::min(tiles, layer.block), size = panels(O) * layer.depth * PANEL;
    const int64_t in_plane = block * C + LANES, out_plane = block * O + LANES;  // no two planes in one set of the cache
    float *inputs = space, *outputs = inputs + 36 * in_plane;
    const int64_t rows = layer.pool ? layer.height / 2 : layer.height, columns = layer.pool ? layer.width / 2 : layer.width;
    const bool whole = layer.height % 4 == 0 && layer.width % 4 == 0;
    for (int64_t first = 0; first < tiles; first += block) {
        const int64_t count = std::min(block, tiles - first);
        for (int64_t t = 0; t < count; ++t) {
            const int64_t number = (first + t) / each, place = (first + t) % each;
            const float* corner = from.at(number, place / across * 4 - 1, place % across * 4 - 1);
            for (int64_t c = 0; c < C; c += LANES) {
                Vector half[36], line[6];
                for (int j = 0; j < 6; ++j) {
                    Vector column[6];
                    for (int i = 0; i < 6; ++i) column[i] = load(corner + i * from.row + j * C + c);
                    transform_input(column, line);
                    for (int i = 0; i < 6; ++i) half[i * 6 + j] = line[i];
                }
                for (int i = 0; i < 6; ++i) {
                    transform_input(half + i * 6, line);
                    for (int j = 0; j < 6; ++j) store(inputs + (i * 6 + j) * in_plane + t * C + c, line[j]);
                }
            }
        }
        for (int k = 0; k < 36; ++k)
            product(count, O, Rows{inputs + k * in_plane, C, 1, layer.depth, 0}, layer.weights + k * size, outputs + k * out_plane,
                    O, Finish{});
        for (int64_t t = 0; t < count; ++t) {
            const int64_t number = (first + t) / each, place = (first + t) % each;
            const int64_t top = place / across * 4, left = place % across * 4;
            for (int64_t o = 0; o < O; o += LANES) {
                Vector half[24], value[16], line[4];
                for (int j = 0; j < 6; ++j) {
                    Vector column[6];
                    for (int i = 0; i < 6; ++i) column[i] = load(outputs + (i * 6 + j) * out_plane + t * O + o);
                    transform_output(column, line);
                    for (int i = 0; i < 4; ++i) half[i * 6 + j] = line[i];
                }
                const Vector bias = load(layer.bias + o);
                for (int i = 0; i < 4; ++i) {
                    transform_output(half + i * 6, line);
                    for (int j = 0; j < 4; ++j) {
                        Vector& pixel = value[i * 4 + j] = line[j] + bias;
                        if (layer.relu) pixel = relu(pixel);
                        if (added && top + i < layer.height && left + j < layer.width)
                            pixel += load(added->at(number, top + i, left + j) + o);
                    }
                }
                const int step = layer.pool ? 2 : 1;
                for (int i = 0; i < 4; i += step)
                    for (int j = 0; j < 4; j += step) {
                        const int64_t r = (top + i) / step, c = (left + j) / step;
                        if (!whole && (r >= rows || c >= columns)) continue;
                        const Vector* pixel = value + i * 4 + j;
                        store(to.at(number, r, c) + o, layer.pool ? larger(larger(pixel[0], pixel[1]), larger(pixel[4], pixel[5])) : pixel[0]);
                    }
            }
        }
    }
}

void direct(const Layer& layer, int64_t images, const Map& from, const Map& to, const Map* added, float* space) {
    const int64_t grown = 2 * layer.padding - layer.side + 1, rows = layer.height + grown, columns = layer.width + grown;
    const Map two(space, 2, columns, layer.out);
    for (int64_t number = 0; number < images; ++number)
        for (int64_t r = 0; r < rows; ++r) {
            float* row = layer.pool ? two.at(0, r % 2, 0) : to.at(number, r, 0);
            const Rows patches{from.at(number, r - layer.padding, -layer.padding), layer.in, layer.side, layer.side * layer.in, from.row};
            const Finish finish{layer.bias, layer.relu != 0, added ? added->at(number, r, 0) : nullptr, layer.out};
            product(columns, layer.out, patches, layer.weights, row, layer.out, finish);
            if (layer.pool && r % 2 == 1) pool(two, 0, 0, to, number, r / 2);
        }
}

void matrix(const Layer& layer, int64_t images, const Map& from, const Map& to, const Map* added, float* space) {
    float* rows = layer.pool ? space : to.data;
    const Finish finish{layer.bias, layer.relu != 0, added ? added->data : nullptr, added ? added->image : 0};
    product(images, layer.out, Rows{from.data, from.image, 1, layer.in, 0}, layer.weights, rows, layer.out, finish);
    if (!layer.pool) return;
    const Map pixels(rows, layer.height, layer.width, layer.out / (layer.height * layer.width));
    for (int64_t number = 0; number < images; ++number)
        for (int64_t r = 0; r < layer.height / 2; ++r) pool(pixels, number, 2 * r, to, number, r);
}

int64_t space_of(const Layer& layer, int64_t images) {
    switch (layer.kind) {
        case WINOGRAD: return 36 * (layer.block * (layer.in + layer.out) + 2 * LANES);
        case DIRECT: return layer.pool ? 2 * (layer.width + 2 * layer.padding) * layer.out : 0;
        default: return layer.pool ? images * layer.out : 0;
    }
}

}  // namespace

// Runs ``count`` layers on ``images`` maps as the first of them reads them; ``to`` is written as layers[count] reads it,
// with its margin left alone. Of the first ``split`` layers ``few`` images are computed at a time, of the others ``many``,
// a multiple of it: early maps are large, late weights are. An addition does not reach across the split.
extern "C" void run(const Layer* layers, int64_t count, int64_t split, int64_t images, int64_t many, int64_t few,
                    float* from, float* to) {
    static thread_local std::vector<float> memory;
    int64_t size = 0, space = 0;
    std::vector<int64_t> places(count, 0);
    for (int64_t l = 0; l < count; ++l) {
        const int64_t held = l < split ? few : many;
        places[l] = size;
        if (l > 0) size += (held * layers[l].image + LANES) / 16 * 16 + 16;
        space = std::max(space, space_of(layers[l], held));
    }
    if (int64_t(memory.size()) < size + space + 16) memory.resize(size + space + 16);
    float* maps = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
    std::memset(maps, 0, sizeof(float) * size);  // the margins of other maps may have been elsewhere
    float* scratch = maps + size;
    for (int64_t first = 0; first < images; first += many) {
        const int64_t batch = std::min(many, images - first);
        const auto map_of = [&](int64_t l, int64_t begun) {
            if (l == 0) return Map(layers[0], from + (first + begun) * layers[0].image);
            if (l == count) return Map(layers[l], to + (first + begun) * layers[l].image);
            return Map(layers[l], maps + places[l] + (l >= split ? begun * layers[l].image : 0));
        };
        const auto one = [&](int64_t l, int64_t begun, int64_t some) {
            const Layer& layer = layers[l];
            const Map in = map_of(l, begun), out = map_of(l + 1, begun), other = map_of(l - layer.added, begun);
            const Map* added = layer.added ? &other : nullptr;
            if (layer.kind == WINOGRAD) winograd(layer, some, in, out, added, scratch);
            else if (layer.kind == DIRECT) direct(layer, some, in, out, added, scratch);
            else matrix(layer, some, in, out, added, scratch);
        };
        for (int64_t begun = 0; begun < batch && split > 0; begun += few)
            for (int64_t l = 0; l < split; ++l) one(l, begun, std::min(few, batch - begun));
        for (int64_t l = split; l < count; ++l) one(l, 0, batch);
    }
}
