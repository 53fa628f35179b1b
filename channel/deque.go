package channel

// deque is a queue with two ends in a ring of memory, which grows by doubling.
type deque[T any] struct {
	buf  []T // a power of two long
	head int
	n    int
}

func (d *deque[T]) len() int { return d.n }

// at gives the i-th from the front.
func (d *deque[T]) at(i int) *T { return &d.buf[(d.head+i)&(len(d.buf)-1)] }

func (d *deque[T]) push(v T) {
	d.grow()
	d.n++
	*d.at(d.n - 1) = v
}

func (d *deque[T]) pushFront(v T) {
	d.grow()
	d.head = (d.head - 1) & (len(d.buf) - 1)
	d.n++
	*d.at(0) = v
}

func (d *deque[T]) pop() T {
	var none T
	first := d.at(0)
	v := *first
	*first = none
	d.head = (d.head + 1) & (len(d.buf) - 1)
	d.n--
	return v
}

func (d *deque[T]) grow() {
	if d.n < len(d.buf) {
		return
	}
	larger := make([]T, max(4, 2*len(d.buf)))
	for i := range d.n {
		larger[i] = *d.at(i)
	}
	d.buf, d.head = larger, 0
}

// keep drops what the function says no to, and leaves the others in their order.
func (d *deque[T]) keep(wanted func(*T) bool) {
	for range d.n {
		if v := d.pop(); wanted(&v) {
			d.push(v)
		}
	}
}
